metadata description = 'What wakes somebody. Queries read the event lines of mailsync/telemetry.py; a test holds the names together.'

import { tagSet } from 'types.bicep'

@description('Name of the action group.')
param actionGroupName string

@description('Region.')
param location string

@description('Tags.')
param tags tagSet

@description('Resource id of the Application Insights component that the queries read.')
param componentId string

@description('Who is told by e-mail; empty: alerts show in the portal only.')
param email string

@description('How long without any new mail is worth a look, as an ISO 8601 duration.')
@allowed(['PT6H', 'P1D', 'P2D'])
param noMailWindow string

@description('An alert: it fires when its query returns a row.')
type alert = {
  @description('Last part of the resource name.')
  name: string

  @description('What is wrong, in the words of the mail that is sent.')
  title: string

  @description('What it means and what to do.')
  description: string

  @description('0 is critical, 4 is verbose.')
  @minValue(0)
  @maxValue(4)
  severity: int

  @description('How often the query runs.')
  frequency: string

  @description('What span of telemetry the query sees.')
  window: string

  @description('The query, over the tables of Application Insights.')
  query: string
}

@description('All alerts.')
var alerts alert[] = [
  {
    name: 'poison-messages'
    title: 'Mailbox syncs were given up'
    description: 'A hint failed five times and went to mailbox-sync-poison, storage or Graph refused a message for good, Graph counts more mail than it shows, or its delta does not end. The mailbox, or the log, shows the reason.'
    severity: 1
    frequency: 'PT5M'
    window: 'PT5M'
    query: 'traces | where message startswith "sync_poisoned " or message startswith "row_refused " or message startswith "message_refused " or message startswith "history_short " or message startswith "delta_endless "'
  }
  {
    name: 'misconfigured'
    title: 'A setting or the app\'s own credential is wrong'
    description: 'Entra, Key Vault or a setting refuses the app itself; no owner can mend that. Mailboxes are left as they are.'
    severity: 1
    frequency: 'PT5M'
    window: 'PT15M'
    query: 'traces | where message startswith "misconfigured "'
  }
  {
    name: 'polling-stopped'
    title: 'The poll timer does not run'
    description: 'No tick in 15 minutes, although one is due every minute. Also fires between provisioning and the first publish.'
    severity: 1
    frequency: 'PT5M'
    window: 'PT15M'
    query: 'traces | where message startswith "poll_tick " | summarize ticks = count() | where ticks == 0'
  }
  {
    name: 'sync-failures'
    title: 'Many mailbox syncs fail'
    description: 'More than 20 failed runs in 15 minutes. The workbook splits them by reason.'
    severity: 2
    frequency: 'PT5M'
    window: 'PT15M'
    query: 'traces | where message startswith "sync_failed " | summarize failures = sum(itemCount) | where failures > 20'
  }
  {
    name: 'reconnects-rising'
    title: 'Several mailboxes need reconnecting'
    description: 'A mailbox counts once, when its grant is lost. Several in one hour point to a policy change or a revoked consent, not to owners.'
    severity: 2
    frequency: 'PT15M'
    window: 'PT1H'
    query: 'traces | where message startswith "needs_reconnect " | summarize mailboxes = dcount(extract(@"mailbox=(\\S+)", 1, message)) | where mailboxes >= 3'
  }
  {
    // Graph counts answers over 3 s in windows of ten minutes, and delays notifications when they exceed 10 %.
    name: 'slow-acknowledgement'
    title: 'Graph\'s notifications are acknowledged slowly'
    description: 'One in twenty took over 2 s in ten minutes. At one in ten over 3 s Graph begins to delay notifications, later to drop them.'
    severity: 2
    frequency: 'PT5M'
    window: 'PT10M'
    query: 'requests | where name in ("graph_notifications", "graph_lifecycle") | summarize p95 = percentile(duration, 95) | where p95 > 2000'
  }
  {
    name: 'forged-notifications'
    title: 'Forged notifications arrive'
    description: 'More than 100 items in five minutes carried no valid clientState. They were dropped; somebody knows the address of the webhook.'
    severity: 3
    frequency: 'PT5M'
    window: 'PT5M'
    query: 'traces | where message startswith "notifications_forged " | summarize forged = sum(itemCount * coalesce(toint(extract(@"count=(\\d+)", 1, message)), 1)) | where forged > 100'
  }
  {
    name: 'push-degraded'
    title: 'Several mailboxes lost push'
    description: 'Their subscriptions cannot be kept, so they are polled instead: mail comes later, none is lost.'
    severity: 3
    frequency: 'PT15M'
    window: 'PT1H'
    query: 'traces | where message startswith "push_degraded " | summarize mailboxes = dcount(extract(@"mailbox=(\\S+)", 1, message)) | where mailboxes >= 3'
  }
  {
    name: 'no-mail'
    title: 'No new mail in any mailbox for long'
    description: 'Nothing was written in the whole window. Also fires while no mailbox is connected.'
    severity: 3
    frequency: 'PT1H'
    window: noMailWindow
    query: 'traces | where message startswith "sync_completed " | summarize withMail = countif(toint(extract(@"added=(\\d+)", 1, message)) > 0) | where withMail == 0'
  }
  {
    name: 'key-vault-throttled'
    title: 'Key Vault throttles the app'
    description: 'The vault takes 300 writes and 4,000 reads per ten seconds. Syncs wait and go on; if it lasts, spread mailboxes over deployments.'
    severity: 2
    frequency: 'PT5M'
    window: 'PT15M'
    query: 'traces | where message startswith "key_vault_throttled " | summarize throttled = sum(itemCount) | where throttled > 10'
  }
]

resource actionGroup 'Microsoft.Insights/actionGroups@2023-01-01' = if (!empty(email)) {
  name: actionGroupName
  location: 'global'
  tags: tags
  properties: {
    enabled: true
    groupShortName: 'siftrock'
    emailReceivers: [
      {
        name: 'operator'
        emailAddress: email
        useCommonAlertSchema: true
      }
    ]
  }
}

resource rules 'Microsoft.Insights/scheduledQueryRules@2023-12-01' = [
  for alert in alerts: {
    name: 'inbox-connector-${alert.name}'
    location: location
    tags: tags
    kind: 'LogAlert'
    properties: {
      displayName: alert.title
      description: alert.description
      severity: alert.severity
      enabled: true
      autoMitigate: true
      scopes: [
        componentId
      ]
      evaluationFrequency: alert.frequency
      windowSize: alert.window
      criteria: {
        allOf: [
          {
            query: alert.query
            timeAggregation: 'Count'
            operator: 'GreaterThan'
            threshold: 0
            failingPeriods: {
              numberOfEvaluationPeriods: 1
              minFailingPeriodsToAlert: 1
            }
          }
        ]
      }
      actions: {
        actionGroups: empty(email) ? [] : [actionGroup.id]
      }
    }
  }
]
