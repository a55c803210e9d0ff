metadata description = 'A storage account without keys. Used twice: for the Functions host, and for mail.'

import { networkAccess, tagSet } from 'types.bicep'

@description('Name of the account.')
@minLength(3)
@maxLength(24)
param name string

@description('Region.')
param location string

@description('Tags.')
param tags tagSet

@description('Redundancy.')
@allowed(['Standard_LRS', 'Standard_ZRS', 'Standard_GRS', 'Standard_GZRS'])
param redundancy string

@description('Who reaches the account.')
param access networkAccess

@description('Containers to create.')
param containers string[]

@description('Tables to create.')
param tables string[] = []

@description('Queues to create.')
param queues string[] = []

@description('Days in which a deleted container can be brought back, and a blob too where what was overwritten is kept.')
@minValue(1)
@maxValue(365)
param softDeleteDays int

@description('Keep for those days what a blob held before it was overwritten or deleted.')
param keepOverwritten bool

resource account 'Microsoft.Storage/storageAccounts@2025-08-01' = {
  name: name
  location: location
  tags: tags
  kind: 'StorageV2'
  sku: {
    name: redundancy
  }
  properties: {
    accessTier: 'Hot'
    allowBlobPublicAccess: false
    allowCrossTenantReplication: false
    // Tokens only. There is then no key that could leak, and a SAS can only be made by who holds a role.
    allowSharedKeyAccess: false
    defaultToOAuthAuthentication: true
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
    publicNetworkAccess: access == 'private' ? 'Disabled' : 'Enabled'
    networkAcls: {
      bypass: 'AzureServices'
      // Without a virtual network the app's own addresses are not known beforehand: the role is the lock then.
      defaultAction: access == 'private' ? 'Deny' : 'Allow'
    }
  }

  resource blobs 'blobServices' = {
    name: 'default'
    properties: {
      isVersioningEnabled: keepOverwritten
      // Without versions, soft delete keeps a copy at every overwrite. The Functions host overwrites its own blobs, for
      // leases, schedules and keys, all day long, and nobody would ever bring one back.
      deleteRetentionPolicy: keepOverwritten
        ? {
            enabled: true
            days: softDeleteDays
          }
        : {
            enabled: false
          }
      containerDeleteRetentionPolicy: {
        enabled: true
        days: softDeleteDays
      }
    }

    resource container 'containers' = [
      for container in containers: {
        name: container
        properties: {
          publicAccess: 'None'
        }
      }
    ]
  }

  // Versions that no row names any more would stay, and be paid for, without end. A body itself never strays: its
  // name follows from its message, so a run that is repeated after a crash writes the same blob again.
  resource lifecycle 'managementPolicies' = if (keepOverwritten) {
    name: 'default'
    properties: {
      policy: {
        rules: [
          {
            name: 'delete-old-versions'
            type: 'Lifecycle'
            enabled: true
            definition: {
              filters: {
                blobTypes: ['blockBlob']
              }
              actions: {
                version: {
                  delete: {
                    daysAfterCreationGreaterThan: softDeleteDays
                  }
                }
              }
            }
          }
        ]
      }
    }
    dependsOn: [blobs]
  }

  resource tableService 'tableServices' = if (!empty(tables)) {
    name: 'default'

    resource table 'tables' = [
      for table in tables: {
        name: table
      }
    ]
  }

  resource queueService 'queueServices' = if (!empty(queues)) {
    name: 'default'

    resource queue 'queues' = [
      for queue in queues: {
        name: queue
      }
    ]
  }
}

@description('Resource id of the account.')
output id string = account.id

@description('Address of the blob service.')
output blobUri string = account.properties.primaryEndpoints.blob

@description('Address of the queue service.')
output queueUri string = account.properties.primaryEndpoints.queue

@description('Address of the table service.')
output tableUri string = account.properties.primaryEndpoints.table
