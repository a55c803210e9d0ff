metadata description = 'The app registration: four delegated permissions, one redirect URI, no secret.'

extension microsoftGraphV1

@description('Name that owners see on the consent page.')
param displayName string

@description('Name that identifies the registration across deployments; cannot be changed later.')
param uniqueName string

@description('Who may sign in: any organization, or this tenant only.')
@allowed(['AzureADMultipleOrgs', 'AzureADMyOrg'])
param signInAudience string

@description('Origin of the app.')
param baseUrl string

@description('Help that Microsoft\'s consent page links; empty for none.')
param supportUrl string

@description('Privacy statement that it links; empty for none.')
param privacyUrl string

@description('Terms of service that it links; empty for none.')
param termsUrl string

@description('Object id of the managed identity that proves the app to Entra.')
param identityPrincipalId string

@description('The delegated Microsoft Graph permissions, by the ids that Graph gives them.')
var delegatedPermissions = [
  '37f7f235-527c-4136-accd-4a02d197296e' // openid: signs the owner in
  '7427e0e9-2fba-42fe-b0c0-848c9e6a8182' // offline_access: a refresh token, so that mail comes while the owner is away
  'e1fe6dd8-ba31-4d61-89e7-88639da4683d' // User.Read: which mailbox it is
  '570282fd-fa5c-430d-a7fd-fc8dc98a9dca' // Mail.Read: the mail, read only
]

resource application 'Microsoft.Graph/applications@v1.0' = {
  displayName: displayName
  uniqueName: uniqueName
  signInAudience: signInAudience
  info: {
    supportUrl: empty(supportUrl) ? null : supportUrl
    privacyStatementUrl: empty(privacyUrl) ? null : privacyUrl
    termsOfServiceUrl: empty(termsUrl) ? null : termsUrl
  }
  web: {
    homePageUrl: '${baseUrl}/connect'
    redirectUris: [
      '${baseUrl}/auth/callback'
    ]
    implicitGrantSettings: {
      enableAccessTokenIssuance: false
      enableIdTokenIssuance: false
    }
  }
  requiredResourceAccess: [
    {
      resourceAppId: '00000003-0000-0000-c000-000000000000' // Microsoft Graph
      resourceAccess: [
        for permission in delegatedPermissions: {
          id: permission
          type: 'Scope'
        }
      ]
    }
  ]

  resource federatedCredential 'federatedIdentityCredentials' = {
    // Graph looks the credential up by this composed name; the bare name is answered with NotFound.
    name: '${application.uniqueName}/managed-identity'
    description: 'The managed identity of the function app stands in for a client secret.'
    audiences: [
      'api://AzureADTokenExchange'
    ]
    issuer: '${environment().authentication.loginEndpoint}${tenant().tenantId}/v2.0'
    subject: identityPrincipalId
  }
}

resource servicePrincipal 'Microsoft.Graph/servicePrincipals@v1.0' = {
  appId: application.appId
}

@description('Client id of the registration.')
output clientId string = application.appId
