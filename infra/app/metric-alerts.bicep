metadata description = 'Alerts on what Azure itself counts: they see a fault even when the log is full or the app says nothing.'

import { tagSet } from 'types.bicep'

@description('Tags.')
param tags tagSet

@description('Resource id of the vault.')
param vaultId string

@description('Resource id of the storage account of mail.')
param mailStorageId string

@description('Resource id of the action group; empty: alerts show in the portal only.')
param actionGroupId string

@description('An alert: it fires when anything is counted within its window.')
type metricAlert = {
  @description('Last part of the resource name.')
  name: string

  @description('What it means and what to do.')
  description: string

  @description('The resource that counts.')
  scope: string

  @description('Type of that resource.')
  namespace: string

  @description('What is counted.')
  metric: string

  @description('How it is summed up.')
  aggregation: 'Count' | 'Total'

  @description('Which of it, by dimension.')
  only: {
    @description('Values that count.')
    *: string[]
  }
}

@description('All alerts on metrics.')
var alerts metricAlert[] = [
  {
    name: 'vault-refuses'
    description: 'Key Vault answers 403: a caller with a valid token lacks its role. If that is the app, no token can be read or saved: deploy again. The audit log names the caller.'
    scope: vaultId
    namespace: 'Microsoft.KeyVault/vaults'
    metric: 'ServiceApiResult'
    aggregation: 'Count'
    only: {
      StatusCode: ['403']
    }
  }
  {
    name: 'storage-refuses'
    description: 'The storage of mail refuses a caller with a valid token. If that is the app, nothing is written: its roles are missing, deploy again.'
    scope: mailStorageId
    namespace: 'Microsoft.Storage/storageAccounts'
    metric: 'Transactions'
    aggregation: 'Total'
    only: {
      Authentication: ['OAuth']
      ResponseType: ['AuthorizationError']
    }
  }
]

resource rules 'Microsoft.Insights/metricAlerts@2018-03-01' = [
  for alert in alerts: {
    name: 'inbox-connector-${alert.name}'
    location: 'global'
    tags: tags
    properties: {
      description: alert.description
      severity: 1
      enabled: true
      autoMitigate: true
      scopes: [
        alert.scope
      ]
      evaluationFrequency: 'PT5M'
      windowSize: 'PT15M'
      criteria: {
        'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
        allOf: [
          {
            criterionType: 'StaticThresholdCriterion'
            name: alert.name
            metricNamespace: alert.namespace
            metricName: alert.metric
            timeAggregation: alert.aggregation
            operator: 'GreaterThan'
            threshold: 0
            dimensions: [
              for dimension in items(alert.only): {
                name: dimension.key
                operator: 'Include'
                values: dimension.value
              }
            ]
          }
        ]
      }
      actions: empty(actionGroupId)
        ? []
        : [
            {
              actionGroupId: actionGroupId
            }
          ]
    }
  }
]
