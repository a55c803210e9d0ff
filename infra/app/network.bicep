metadata description = 'The hardened form: the app leaves through a subnet, and reaches its stores by private endpoints only.'

import { tagSet } from 'types.bicep'

@description('Name of the virtual network.')
param name string

@description('Name of the network security group of the private endpoints.')
param securityGroupName string

@description('Prefix of the names of the private endpoints.')
param endpointPrefix string

@description('Region.')
param location string

@description('Tags.')
param tags tagSet

@description('Address range of the network: a /24, halved between the app and the endpoints.')
param addressPrefix string

@description('Names of the resources that get private endpoints.')
param targets targetNames

@description('Names of the resources that get private endpoints.')
type targetNames = {
  @description('Storage account of the Functions host.')
  hostStorage: string

  @description('Storage account of mail.')
  mailStorage: string

  @description('Key vault.')
  vault: string
}

@description('Address range of the app.')
var appRange = cidrSubnet(addressPrefix, 25, 0)

@description('Address range of the private endpoints.')
var endpointRange = cidrSubnet(addressPrefix, 25, 1)

@description('Kinds of private endpoint; each has a private DNS zone, by the order here.')
var kinds = ['blob', 'queue', 'table', 'vault']

@description('Private DNS zones, by the order of kinds.')
var zoneNames = [
  'privatelink.blob.${environment().suffixes.storage}'
  'privatelink.queue.${environment().suffixes.storage}'
  'privatelink.table.${environment().suffixes.storage}'
  'privatelink.vaultcore.azure.net'
]

@description('Private endpoints: whose, and of which kind. The account of the host needs no queue.')
var endpoints = [
  {
    kind: 'blob'
    name: 'host'
  }
  {
    kind: 'table'
    name: 'host'
  }
  {
    kind: 'blob'
    name: 'mail'
  }
  {
    kind: 'queue'
    name: 'mail'
  }
  {
    kind: 'table'
    name: 'mail'
  }
  {
    kind: 'vault'
    name: 'tokens'
  }
]

resource hostStorage 'Microsoft.Storage/storageAccounts@2025-08-01' existing = {
  name: targets.hostStorage
}

resource mailStorage 'Microsoft.Storage/storageAccounts@2025-08-01' existing = {
  name: targets.mailStorage
}

resource vault 'Microsoft.KeyVault/vaults@2026-02-01' existing = {
  name: targets.vault
}

resource securityGroup 'Microsoft.Network/networkSecurityGroups@2025-05-01' = {
  name: securityGroupName
  location: location
  tags: tags
  properties: {
    securityRules: [
      {
        name: 'app-to-stores'
        properties: {
          description: 'The app reaches its stores over HTTPS.'
          access: 'Allow'
          direction: 'Inbound'
          priority: 100
          protocol: 'Tcp'
          sourceAddressPrefix: appRange
          sourcePortRange: '*'
          destinationAddressPrefix: endpointRange
          destinationPortRange: '443'
        }
      }
      {
        name: 'nobody-else'
        properties: {
          description: 'Nothing else in a peered network needs them.'
          access: 'Deny'
          direction: 'Inbound'
          priority: 4096
          protocol: '*'
          sourceAddressPrefix: '*'
          sourcePortRange: '*'
          destinationAddressPrefix: '*'
          destinationPortRange: '*'
        }
      }
    ]
  }
}

resource network 'Microsoft.Network/virtualNetworks@2025-05-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    addressSpace: {
      addressPrefixes: [addressPrefix]
    }
    subnets: [
      {
        name: 'app'
        properties: {
          addressPrefix: appRange
          delegations: [
            {
              name: 'flex-consumption'
              properties: {
                serviceName: 'Microsoft.App/environments'
              }
            }
          ]
        }
      }
      {
        name: 'endpoints'
        properties: {
          addressPrefix: endpointRange
          networkSecurityGroup: {
            id: securityGroup.id
          }
          // The security group is only heeded by private endpoints where the subnet says so.
          privateEndpointNetworkPolicies: 'Enabled'
        }
      }
    ]
  }

  resource appSubnet 'subnets' existing = {
    name: 'app'
  }

  resource endpointSubnet 'subnets' existing = {
    name: 'endpoints'
  }
}

resource zones 'Microsoft.Network/privateDnsZones@2024-06-01' = [
  for zone in zoneNames: {
    name: zone
    location: 'global'
    tags: tags
  }
]

resource links 'Microsoft.Network/privateDnsZones/virtualNetworkLinks@2024-06-01' = [
  for (zone, i) in zoneNames: {
    parent: zones[i]
    name: name
    location: 'global'
    tags: tags
    properties: {
      registrationEnabled: false
      virtualNetwork: {
        id: network.id
      }
    }
  }
]

resource privateEndpoints 'Microsoft.Network/privateEndpoints@2025-05-01' = [
  for endpoint in endpoints: {
    name: '${endpointPrefix}${endpoint.name}-${endpoint.kind}'
    location: location
    tags: tags
    properties: {
      subnet: {
        id: network::endpointSubnet.id
      }
      privateLinkServiceConnections: [
        {
          name: '${endpoint.name}-${endpoint.kind}'
          properties: {
            privateLinkServiceId: endpoint.name == 'host'
              ? hostStorage.id
              : endpoint.name == 'mail' ? mailStorage.id : vault.id
            groupIds: [endpoint.kind]
          }
        }
      ]
    }
  }
]

resource endpointZones 'Microsoft.Network/privateEndpoints/privateDnsZoneGroups@2025-05-01' = [
  for (endpoint, i) in endpoints: {
    parent: privateEndpoints[i]
    name: 'default'
    properties: {
      privateDnsZoneConfigs: [
        {
          name: endpoint.kind
          properties: {
            privateDnsZoneId: zones[indexOf(kinds, endpoint.kind)].id
          }
        }
      ]
    }
  }
]

@description('Subnet that the app leaves by.')
output appSubnetId string = network::appSubnet.id
