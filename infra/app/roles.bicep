metadata description = 'Who may do what. Every role of the deployment is given here, and each says why.'

import { principalType } from 'types.bicep'

@description('Object id of the app\'s identity.')
param identityPrincipalId string

@description('Object id of a person or group that operates the app; empty for none.')
param operatorPrincipalId string

@description('What kind of principal the operator is.')
param operatorPrincipalType principalType

@description('Name of the storage account of the Functions host.')
param hostStorageName string

@description('Name of the storage account of mail.')
param mailStorageName string

@description('Name of the vault.')
param vaultName string

@description('Name of the Application Insights component.')
param componentName string

@description('A role given on one resource: its id, and what needs it.')
type grant = {
  @description('Id of the built-in role definition.')
  role: string

  @description('What needs it; shown in the portal beside the assignment.')
  reason: string
}

@description('Roles of the app on the storage account of the Functions host.')
var onHostStorage grant[] = [
  {
    role: 'b7e6dc6d-f1e8-4753-8033-0f276bb0955b' // Storage Blob Data Owner
    reason: 'The Functions host reads the package, makes its own containers, and leases blobs for timers and keys.'
  }
  {
    role: '0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3' // Storage Table Data Contributor
    reason: 'The Functions host writes its diagnostic events to a table.'
  }
]

@description('Roles of the app on the storage account of mail.')
var onMailStorage grant[] = [
  {
    role: '0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3' // Storage Table Data Contributor
    reason: 'Messages, mailboxes, accounts and sign-ins are rows that the app reads, writes and deletes.'
  }
  {
    // Message Processor and Sender together are not enough: while a function runs the host prolongs its message's
    // invisibility (Update Message), which takes messages/write, and no smaller built-in role has that.
    role: '974c5e8b-45b9-4653-ba55-5f855dd0fb88' // Storage Queue Data Contributor
    reason: 'The app sends hints; the host takes, prolongs and deletes them, and moves failed ones to the poison queue.'
  }
  {
    role: 'ba92f5b4-2d11-453d-a403-e96b0029c9fe' // Storage Blob Data Contributor
    reason: 'Bodies too long for a row are blobs that the app reads, writes and deletes.'
  }
]

@description('Roles of the app on the vault.')
var onVault grant[] = [
  {
    role: 'b86a8fe4-44ce-4948-aee5-eccb2c155cd7' // Key Vault Secrets Officer
    reason: 'Refresh tokens are read, replaced on every use, deleted on disconnecting, and recovered on reconnecting.'
  }
]

@description('Roles of the app on Application Insights.')
var onComponent grant[] = [
  {
    role: '3913510d-42f4-4e42-8a64-420c390055eb' // Monitoring Metrics Publisher
    reason: 'Telemetry is accepted from this identity only, as local authentication is off.'
  }
]

@description('Roles of the operator on the storage account of mail. None on the vault: nobody needs to read a token.')
var ofOperatorOnMailStorage grant[] = empty(operatorPrincipalId)
  ? []
  : [
      {
        role: '0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3' // Storage Table Data Contributor
        reason: 'The operator adds accounts and looks at mailboxes with mailsync.admin.'
      }
      {
        role: '974c5e8b-45b9-4653-ba55-5f855dd0fb88' // Storage Queue Data Contributor
        reason: 'The operator looks at the poison queue and puts messages back.'
      }
    ]

resource hostStorage 'Microsoft.Storage/storageAccounts@2025-08-01' existing = {
  name: hostStorageName
}

resource mailStorage 'Microsoft.Storage/storageAccounts@2025-08-01' existing = {
  name: mailStorageName
}

resource vault 'Microsoft.KeyVault/vaults@2026-02-01' existing = {
  name: vaultName
}

resource component 'Microsoft.Insights/components@2020-02-02' existing = {
  name: componentName
}

resource hostStorageAssignments 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for grant in onHostStorage: {
    name: guid(hostStorage.id, identityPrincipalId, grant.role)
    scope: hostStorage
    properties: {
      principalId: identityPrincipalId
      principalType: 'ServicePrincipal'
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', grant.role)
      description: grant.reason
    }
  }
]

resource mailStorageAssignments 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for grant in onMailStorage: {
    name: guid(mailStorage.id, identityPrincipalId, grant.role)
    scope: mailStorage
    properties: {
      principalId: identityPrincipalId
      principalType: 'ServicePrincipal'
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', grant.role)
      description: grant.reason
    }
  }
]

resource vaultAssignments 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for grant in onVault: {
    name: guid(vault.id, identityPrincipalId, grant.role)
    scope: vault
    properties: {
      principalId: identityPrincipalId
      principalType: 'ServicePrincipal'
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', grant.role)
      description: grant.reason
    }
  }
]

resource componentAssignments 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for grant in onComponent: {
    name: guid(component.id, identityPrincipalId, grant.role)
    scope: component
    properties: {
      principalId: identityPrincipalId
      principalType: 'ServicePrincipal'
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', grant.role)
      description: grant.reason
    }
  }
]

resource operatorAssignments 'Microsoft.Authorization/roleAssignments@2022-04-01' = [
  for grant in ofOperatorOnMailStorage: {
    name: guid(mailStorage.id, operatorPrincipalId, grant.role)
    scope: mailStorage
    properties: {
      principalId: operatorPrincipalId
      principalType: operatorPrincipalType
      roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', grant.role)
      description: grant.reason
    }
  }
]
