// An app registration made by hand: nothing is written to Entra.
using '../main.bicep'

param environmentName = 'example'
param location = 'westeurope'
param createAppRegistration = false
param existingClientId = '66666666-6666-4666-8666-666666666666'
