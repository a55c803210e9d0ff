metadata description = 'Where telemetry goes: a workspace, Application Insights on it, and the workbook of the operator; and where the vault is audited.'

import { tagSet } from 'types.bicep'

@description('Name of the workspace.')
param workspaceName string

@description('Name of the workspace of the vault\'s audit log.')
param auditWorkspaceName string

@description('Name of the Application Insights component.')
param componentName string

@description('Region.')
param location string

@description('Tags.')
param tags tagSet

@description('Days that telemetry and the audit log are kept.')
@minValue(30)
@maxValue(730)
param retentionDays int

@description('Gigabytes a day after which the workspace takes no more until the next day.')
@minValue(1)
param dailyCapGb int

resource workspace 'Microsoft.OperationalInsights/workspaces@2025-02-01' = {
  name: workspaceName
  location: location
  tags: tags
  properties: {
    sku: {
      name: 'PerGB2018'
    }
    retentionInDays: retentionDays
    workspaceCapping: {
      dailyQuotaGb: dailyCapGb
    }
    features: {
      disableLocalAuth: true
    }
  }
}

// No cap here: whoever fills the other workspace, by asking for pages, must not end the audit of the vault.
resource auditWorkspace 'Microsoft.OperationalInsights/workspaces@2025-02-01' = {
  name: auditWorkspaceName
  location: location
  tags: tags
  properties: {
    sku: {
      name: 'PerGB2018'
    }
    retentionInDays: retentionDays
    features: {
      disableLocalAuth: true
    }
  }
}

resource component 'Microsoft.Insights/components@2020-02-02' = {
  name: componentName
  location: location
  tags: tags
  kind: 'web'
  properties: {
    Application_Type: 'web'
    WorkspaceResourceId: workspace.id
    // The connection string then only names the place; writing there takes the role Monitoring Metrics Publisher.
    DisableLocalAuth: true
  }
}

resource workbook 'Microsoft.Insights/workbooks@2023-06-01' = {
  name: guid(resourceGroup().id, 'inbox-connector')
  location: location
  tags: tags
  kind: 'shared'
  properties: {
    displayName: 'Siftrock Inbox Connector'
    category: 'workbook'
    sourceId: component.id
    serializedData: loadTextContent('workbook.json')
  }
}

@description('Resource id of the workspace.')
output workspaceId string = workspace.id

@description('Resource id of the workspace of the audit log.')
output auditWorkspaceId string = auditWorkspace.id

@description('Resource id of the Application Insights component.')
output componentId string = component.id

@description('Where the app sends telemetry. No secret: local authentication is off.')
output connectionString string = component.properties.ConnectionString
