metadata name = 'Siftrock Inbox Connector'
metadata description = 'Everything the connector needs in one resource group, and its app registration. No secret anywhere.'

targetScope = 'subscription'

import { principalType, tagSet } from 'app/types.bicep'

@description('Name of this environment; resource names follow from it.')
@minLength(1)
@maxLength(64)
param environmentName string

@description('Region; it must offer Flex Consumption.')
@minLength(1)
@metadata({ azd: { type: 'location' } })
param location string

@description('Resource group to create; empty: named after the environment.')
param resourceGroupName string = ''

@description('Tags that every resource gets besides its own.')
param tags tagSet = {}

@description('Make the app registration. Off: give existingClientId, and let an administrator do by hand what docs/deploy.md lists.')
param createAppRegistration bool = true

@description('Client id of an app registration made by hand.')
param existingClientId string = ''

@description('Who may connect inboxes: any organization, or this tenant only.')
@allowed(['AzureADMultipleOrgs', 'AzureADMyOrg'])
param signInAudience string = 'AzureADMultipleOrgs'

@description('Origin of the app where a custom domain leads to it, such as https://inbox.example.com; empty: the platform\'s host name.')
param publicBaseUrl string = ''

@description('Object id of the person or group that operates the app; empty: no roles for anybody.')
param operatorPrincipalId string = ''

@description('What kind of principal the operator is.')
param operatorPrincipalType principalType = 'User'

@description('Folders to follow: well-known names or ids, separated by commas.')
param mailFolders string = 'inbox'

@description('How many days back the first sync reaches.')
@minValue(0)
@maxValue(3650)
param backfillDays int = 30

@description('Seconds between polls of a mailbox without healthy push.')
@minValue(1)
@maxValue(86400)
param pollIntervalSeconds int = 300

@description('Seconds between safety polls of a mailbox with healthy push.')
@minValue(1)
@maxValue(86400)
param pollIntervalWithPushSeconds int = 3600

@description('Minutes that a Graph subscription is asked to live. Graph grants at most 10080; older ceilings are fallen back to.')
@minValue(45)
@maxValue(10080)
param subscriptionMinutes int = 10070

@description('What pages call the product; Microsoft names the app registration after it, with "Inbox Connector" added.')
@maxLength(60)
param productName string = 'Siftrock'

@description('https address of help, which pages and Microsoft\'s consent page link; empty for none. So are the three below.')
param supportUrl string = ''

@description('https address of the privacy statement.')
param privacyUrl string = ''

@description('https address of the terms of service.')
param termsUrl string = ''

@description('https address of the logo that pages show, without a query. Microsoft\'s page shows the one of the registration.')
param logoUrl string = ''

@description('Memory of an instance in megabytes.')
@allowed([512, 2048, 4096])
param instanceMemoryMB int = 2048

@description('Most instances of each function group at once.')
@minValue(40)
@maxValue(1000)
param maximumInstanceCount int = 100

@description('HTTP instances kept warm; with 0, Graph\'s handshake and 3 s acknowledgement may meet a cold start.')
@minValue(0)
param alwaysReadyHttpInstances int = 1

@description('Instances kept warm for sync_mailbox; with 0, new mail of a quiet hour waits for an instance to start.')
@minValue(0)
param alwaysReadySyncInstances int = 1

@description('HTTP requests that an instance takes at once.')
@minValue(1)
@maxValue(1000)
param httpConcurrency int = 16

@description('Threads for functions in an instance: more than an instance is given at once, by httpConcurrency or by queues in host.json.')
@minValue(1)
@maxValue(1024)
param threadCount int = 32

@description('Redundancy of the mail storage account. Chosen once: Azure changes between zone-redundant and not by a conversion only.')
@allowed(['Standard_LRS', 'Standard_ZRS', 'Standard_GRS', 'Standard_GZRS'])
param mailStorageRedundancy string = 'Standard_ZRS'

@description('Days in which a deleted or overwritten body of a message can be brought back.')
@minValue(1)
@maxValue(365)
param softDeleteDays int = 14

@description('Private endpoints and virtual network integration. Storage and vault then have no public address.')
param networkHardening bool = false

@description('Address range of the virtual network: a /24.')
param virtualNetworkAddressPrefix string = '10.90.0.0/24'

@description('Days that telemetry and the audit log are kept.')
@minValue(30)
@maxValue(730)
param logRetentionDays int = 30

@description('Gigabytes of telemetry a day, after which no more is taken until the next.')
@minValue(1)
param logDailyCapGb int = 1

@description('Who is told of alerts and of the budget; empty: alerts show in the portal only, and there is no budget.')
param alertEmail string = ''

@description('How long without any new mail raises an alert.')
@allowed(['PT6H', 'P1D', 'P2D'])
param noMailWindow string = 'P1D'

@description('Budget a month in the currency of the subscription; 0 for none.')
@minValue(0)
param monthlyBudget int = 0

@description('Day from which the budget counts: the first of the month in which it is first deployed, and that one ever after.')
param budgetStartDate string = ''

@description('Beginnings of resource names by type.')
var abbreviations = loadJsonContent('abbreviations.json')

@description('Makes names unique in the world and the same at every deployment.')
var token = toLower(uniqueString(subscription().id, environmentName, location))

@description('Tags of every resource.')
var allTags = union(tags, {
  application: 'siftrock-inbox-connector'
  'azd-env-name': environmentName
})

@description('Name of the function app.')
var functionAppName = '${abbreviations.functionApp}${token}'

@description('Origin of the app. The host name is computed, not read: the site needs the registration, which needs this.')
var baseUrl = empty(publicBaseUrl) ? 'https://${functionAppName}.azurewebsites.net' : publicBaseUrl

@description('Storage account of the Functions host.')
var hostStorageName = '${abbreviations.storageAccount}host${token}'

@description('Storage account of mail.')
var mailStorageName = '${abbreviations.storageAccount}mail${token}'

@description('Key vault.')
var vaultName = '${abbreviations.keyVault}${token}'

@description('Application Insights component.')
var componentName = '${abbreviations.applicationInsights}${token}'

@description('Container that the package is deployed to.')
var deploymentContainer = 'app-package'

@description('Whether stores are reached from everywhere with a token, or through private endpoints only.')
var access = networkHardening ? 'private' : 'public'

resource group 'Microsoft.Resources/resourceGroups@2025-04-01' = {
  name: empty(resourceGroupName) ? '${abbreviations.resourceGroup}${environmentName}' : resourceGroupName
  location: location
  tags: allTags
}

module identity 'app/identity.bicep' = {
  scope: group
  params: {
    name: '${abbreviations.managedIdentity}${token}'
    location: location
    tags: allTags
  }
}

module monitoring 'app/monitoring.bicep' = {
  scope: group
  params: {
    workspaceName: '${abbreviations.workspace}${token}'
    auditWorkspaceName: '${abbreviations.workspace}audit-${token}'
    componentName: componentName
    location: location
    tags: allTags
    retentionDays: logRetentionDays
    dailyCapGb: logDailyCapGb
  }
}

// Two accounts, so that what the host may do to its own blobs is not what it may do to mail.
module hostStorage 'app/storage.bicep' = {
  scope: group
  params: {
    name: hostStorageName
    location: location
    tags: allTags
    redundancy: 'Standard_LRS'
    access: access
    containers: [deploymentContainer]
    keepOverwritten: false
    softDeleteDays: softDeleteDays
  }
}

module mailStorage 'app/storage.bicep' = {
  scope: group
  params: {
    name: mailStorageName
    location: location
    tags: allTags
    redundancy: mailStorageRedundancy
    access: access
    containers: ['message-bodies']
    tables: ['messages', 'mailboxes', 'accounts', 'signins']
    queues: ['mailbox-sync', 'mailbox-sync-poison']
    keepOverwritten: true
    softDeleteDays: softDeleteDays
  }
}

module vault 'app/key-vault.bicep' = {
  scope: group
  params: {
    name: vaultName
    location: location
    tags: allTags
    access: access
    workspaceId: monitoring.outputs.auditWorkspaceId
  }
}

module roles 'app/roles.bicep' = {
  scope: group
  params: {
    // An assignment's name holds its principal: under a fixed name an identity that was made anew could get no role.
    #disable-next-line what-if-short-circuiting
    identityPrincipalId: identity.outputs.principalId
    operatorPrincipalId: operatorPrincipalId
    operatorPrincipalType: operatorPrincipalType
    hostStorageName: hostStorageName
    mailStorageName: mailStorageName
    vaultName: vaultName
    componentName: componentName
  }
  dependsOn: [hostStorage, mailStorage, monitoring, vault]
}

module network 'app/network.bicep' = if (networkHardening) {
  scope: group
  params: {
    name: '${abbreviations.virtualNetwork}${token}'
    securityGroupName: '${abbreviations.networkSecurityGroup}${token}'
    endpointPrefix: abbreviations.privateEndpoint
    location: location
    tags: allTags
    addressPrefix: virtualNetworkAddressPrefix
    targets: {
      hostStorage: hostStorageName
      mailStorage: mailStorageName
      vault: vaultName
    }
  }
  dependsOn: [hostStorage, mailStorage, vault]
}

module entra 'app/entra.bicep' = if (createAppRegistration) {
  scope: group
  params: {
    displayName: '${productName} Inbox Connector'
    supportUrl: supportUrl
    privacyUrl: privacyUrl
    termsUrl: termsUrl
    uniqueName: 'siftrock-inbox-connector-${token}'
    signInAudience: signInAudience
    baseUrl: baseUrl
    identityPrincipalId: identity.outputs.principalId
  }
}

@description('Client id of the app registration.')
var clientId = createAppRegistration ? entra!.outputs.clientId : existingClientId

module functionApp 'app/function-app.bicep' = {
  scope: group
  params: {
    name: functionAppName
    planName: '${abbreviations.plan}${token}'
    location: location
    tags: allTags
    identityId: identity.outputs.id
    identityClientId: identity.outputs.clientId
    hostBlobUri: hostStorage.outputs.blobUri
    hostTableUri: hostStorage.outputs.tableUri
    deploymentContainer: deploymentContainer
    applicationInsightsConnectionString: monitoring.outputs.connectionString
    subnetId: networkHardening ? network!.outputs.appSubnetId : ''
    instanceMemoryMB: instanceMemoryMB
    maximumInstanceCount: maximumInstanceCount
    alwaysReadyHttpInstances: alwaysReadyHttpInstances
    alwaysReadySyncInstances: alwaysReadySyncInstances
    httpConcurrency: httpConcurrency
    threadCount: threadCount
    settings: {
      PUBLIC_BASE_URL: baseUrl
      ENTRA_CLIENT_ID: clientId
      ENTRA_TENANT: signInAudience == 'AzureADMyOrg' ? tenant().tenantId : 'organizations'
      ENTRA_AUTHORITY_HOST: environment().authentication.loginEndpoint
      GRAPH_ENDPOINT: 'https://graph.microsoft.com/v1.0'
      KEY_VAULT_URL: vault.outputs.uri
      MAIL_STORAGE__tableServiceUri: mailStorage.outputs.tableUri
      MAIL_STORAGE__queueServiceUri: mailStorage.outputs.queueUri
      MAIL_STORAGE__blobServiceUri: mailStorage.outputs.blobUri
      MAIL_STORAGE__credential: 'managedidentity'
      MAIL_STORAGE__clientId: identity.outputs.clientId
      MAIL_FOLDERS: mailFolders
      BACKFILL_DAYS: string(backfillDays)
      POLL_INTERVAL_SECONDS: string(pollIntervalSeconds)
      POLL_INTERVAL_WITH_PUSH_SECONDS: string(pollIntervalWithPushSeconds)
      SUBSCRIPTION_MINUTES: string(subscriptionMinutes)
      PRODUCT_NAME: productName
      SUPPORT_URL: supportUrl
      PRIVACY_URL: privacyUrl
      TERMS_URL: termsUrl
      LOGO_URL: logoUrl
    }
  }
  dependsOn: [
    roles // the platform reads the package as the identity, and the host starts as it
  ]
}

module alerts 'app/alerts.bicep' = {
  scope: group
  params: {
    actionGroupName: '${abbreviations.actionGroup}${token}'
    location: location
    tags: allTags
    componentId: monitoring.outputs.componentId
    workspaceId: monitoring.outputs.workspaceId
    auditWorkspaceId: monitoring.outputs.auditWorkspaceId
    dailyCapGb: logDailyCapGb
    email: alertEmail
    noMailWindow: noMailWindow
  }
}

module metricAlerts 'app/metric-alerts.bicep' = {
  scope: group
  params: {
    tags: allTags
    vaultId: vault.outputs.id
    mailStorageId: mailStorage.outputs.id
    actionGroupId: alerts.outputs.actionGroupId
  }
}

module budget 'app/budget.bicep' = if (monthlyBudget > 0 && !empty(alertEmail)) {
  scope: group
  params: {
    name: '${abbreviations.budget}${token}'
    amount: max(monthlyBudget, 1)
    startDate: empty(budgetStartDate)
      ? fail('With monthlyBudget, budgetStartDate is needed: docs/deploy.md, What it costs.')
      : budgetStartDate
    email: alertEmail
  }
}

@description('Region, for azd.')
output AZURE_LOCATION string = location

@description('Resource group.')
output AZURE_RESOURCE_GROUP string = group.name

@description('Function app to publish to.')
output AZURE_FUNCTION_APP_NAME string = functionAppName

@description('The link to send to owners of inboxes.')
output CONNECT_URL string = '${baseUrl}/connect'

@description('Redirect URI that the app registration must hold.')
output REDIRECT_URI string = '${baseUrl}/auth/callback'

@description('Host name as the platform gave it.')
output FUNCTION_APP_HOST string = functionApp.outputs.hostName

@description('Whether the platform gave the host name that was computed. If not, see docs/deploy.md, The first connection.')
output FUNCTION_APP_HOST_AS_EXPECTED bool = functionApp.outputs.hostName == '${functionAppName}.azurewebsites.net'

@description('Client id of the app registration.')
output ENTRA_CLIENT_ID string = clientId

@description('Subject of the federated credential: the object id of the managed identity.')
output IDENTITY_PRINCIPAL_ID string = identity.outputs.principalId

@description('The vault.')
output KEY_VAULT_URL string = vault.outputs.uri

@description('Tables of the mail, for the pipeline that reads them and for mailsync.admin.')
output MAIL_STORAGE__tableServiceUri string = mailStorage.outputs.tableUri

@description('Queues of the mail.')
output MAIL_STORAGE__queueServiceUri string = mailStorage.outputs.queueUri

@description('Bodies of the mail.')
output MAIL_STORAGE__blobServiceUri string = mailStorage.outputs.blobUri
