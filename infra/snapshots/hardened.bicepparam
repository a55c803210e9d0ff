// Everything switched on that can be: private network, alerts by e-mail, a budget, an operator, a custom domain.
using '../main.bicep'

param environmentName = 'example'
param location = 'westeurope'
param publicBaseUrl = 'https://inbox.example.com'
param signInAudience = 'AzureADMyOrg'
param operatorPrincipalId = '55555555-5555-4555-8555-555555555555'
param operatorPrincipalType = 'Group'
param productName = 'Example Replies'
param supportUrl = 'https://example.com/help'
param privacyUrl = 'https://example.com/privacy'
param termsUrl = 'https://example.com/terms'
param logoUrl = 'https://example.com/logo.svg'
param networkHardening = true
param alertEmail = 'operator@example.com'
param monthlyBudget = 100
param budgetStartDate = '2026-01-01'
