metadata description = 'The one identity of the app: to Azure as itself, to Entra as a federated credential.'

import { tagSet } from 'types.bicep'

@description('Name of the identity.')
param name string

@description('Region.')
param location string

@description('Tags.')
param tags tagSet

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: name
  location: location
  tags: tags
}

@description('Resource id of the identity.')
output id string = identity.id

@description('Client id: what the app names when it asks for a token.')
output clientId string = identity.properties.clientId

@description('Object id: what roles are given to, and the subject of the federated credential.')
output principalId string = identity.properties.principalId
