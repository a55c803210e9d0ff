// What a deployment with nothing but the required parameters makes.
using '../main.bicep'

param environmentName = 'example'
param location = 'westeurope'
