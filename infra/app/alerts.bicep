metadata description = 'What wakes somebody. Queries read the event lines of mailsync/telemetry.py; a test holds the names together.'

import { tagSet } from 'types.bicep'

@description('Name of the action group.')
param actionGroupName string

@description('Region.')
param location string

@description('Tags.')
param tags tagSet

@description('Resource id of the Application Insights component that holds the events.')
param componentId string

@description('Resource id of its workspace.')
param workspaceId string

@description('Resource id of the workspace of the audit log.')
param auditWorkspaceId string

@description('Gigabytes a day after which the workspace takes no more.')
param dailyCapGb int

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

  @description('Tell each time, because a row is something that happened and not a state that ends: frequency and window are the same then.')
  eachTime: bool?

  @description('Where the query runs; left out: on the component.')
  on: ('workspace' | 'audit')?

  @description('The query.')
  query: string
}

@description('Events with what queries read of them. A field is found by its name, wherever it stands in the line.')
var events = 'traces | extend event = extract(@"^\\w+", 0, message), mailbox = extract(@" mailbox=(\\S+)", 1, message)'

@description('How old the first sync in a window must be for the window to count as seen whole: the safety poll is hourly.')
var seenWhole = {
  PT6H: '5h'
  P1D: '22h'
  P2D: '46h'
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
    eachTime: true
    query: '${events} | where event in ("sync_poisoned", "row_refused", "message_refused", "history_short", "delta_endless")'
  }
  {
    name: 'misconfigured'
    title: 'A setting or the app\'s own credential is wrong'
    description: 'Entra, Key Vault or a setting refuses the app itself; no owner can mend that. Mailboxes are left as they are.'
    severity: 1
    frequency: 'PT5M'
    window: 'PT15M'
    query: '${events} | where event == "misconfigured"'
  }
  {
    // It has to have run before: an app that waits for its first publish is not a fault.
    name: 'polling-stopped'
    title: 'The poll timer does not run'
    description: 'It has run today, and not for 15 minutes, although it is due every minute; or its log does not arrive.'
    severity: 1
    frequency: 'PT5M'
    window: 'P1D'
    query: '${events} | where event == "poll_tick" | summarize seen = max(timestamp) | where seen < ago(15m)'
  }
  {
    name: 'functions-fail'
    title: 'A function fails again and again'
    description: 'Five invocations of one function ended with an exception in 15 minutes: storage away, a wrong setting, or a fault of the program. The table exceptions names it.'
    severity: 1
    frequency: 'PT5M'
    window: 'PT15M'
    query: 'exceptions | summarize failures = sum(itemCount) by operation_Name | where failures >= 5'
  }
  {
    name: 'log-cap-reached'
    title: 'The day\'s log is full, and every other alert on it is blind'
    description: 'The workspace takes no more until its reset hour. Raise logDailyCapGb, or find what fills it: the table Usage says which table, the workbook which event.'
    severity: 1
    frequency: 'PT15M'
    window: 'PT15M'
    eachTime: true
    on: 'workspace'
    query: '_LogOperation | where Category =~ "Ingestion" and Detail has "OverQuota"'
  }
  {
    name: 'log-cap-near'
    title: 'The day\'s log is nearly full'
    description: 'More than four fifths of logDailyCapGb came within 24 hours. At the cap the alerts on it go blind.'
    severity: 2
    frequency: 'PT1H'
    window: 'P1D'
    on: 'workspace'
    query: 'Usage | where IsBillable | summarize gigabytes = sum(Quantity) / 1000 | where gigabytes > 0.8 * ${dailyCapGb}'
  }
  {
    name: 'sync-failures'
    title: 'Many mailbox syncs fail'
    description: 'More than 20 failed runs in 15 minutes. The workbook splits them by reason.'
    severity: 2
    frequency: 'PT15M'
    window: 'PT15M'
    query: '${events} | where event == "sync_failed" | summarize failures = sum(itemCount) | where failures > 20'
  }
  {
    // Polls may be set a day apart, so the hour is for the way.
    name: 'mailbox-silent'
    title: 'A mailbox has had no success for a day'
    description: 'It is connected, and no run of it has ended well for 25 hours. The row names it; its status has the reason.'
    severity: 2
    frequency: 'PT1H'
    window: 'P2D'
    query: '${events} | where isnotempty(mailbox) and event in ("mailbox_connected", "sync_completed", "sync_failed", "sync_deferred", "misconfigured", "needs_reconnect", "mailbox_disconnected") | summarize good = max(iff(event in ("mailbox_connected", "sync_completed"), timestamp, datetime(null))), ended = max(iff(event in ("needs_reconnect", "mailbox_disconnected"), timestamp, datetime(null))), begun = min(timestamp) by mailbox | extend since = coalesce(good, begun) | where since < ago(25h) and (isnull(ended) or ended < since)'
  }
  {
    name: 'needs-reconnect'
    title: 'A mailbox needs its owner to connect again'
    description: 'Its grant no longer works, and nothing is read until the owner opens the connect link. The rows name mailbox and reason.'
    severity: 3
    frequency: 'PT15M'
    window: 'PT15M'
    eachTime: true
    query: '${events} | where event == "needs_reconnect" | extend reason = extract(@" reason=(\\S+)", 1, message) | summarize seen = max(timestamp) by mailbox, reason'
  }
  {
    name: 'reconnects-rising'
    title: 'Several mailboxes need reconnecting'
    description: 'A mailbox counts once, when its grant is lost. Several in one hour point to a policy change or a revoked consent, not to owners.'
    severity: 2
    frequency: 'PT15M'
    window: 'PT1H'
    query: '${events} | where event == "needs_reconnect" | summarize mailboxes = dcount(mailbox) | where mailboxes >= 3'
  }
  {
    name: 'pages-fail'
    title: 'A page met a fault of the program'
    description: 'An owner saw "something went wrong" instead of the page. The row has the kind of the error and its place in the code; nothing was stored.'
    severity: 2
    frequency: 'PT15M'
    window: 'PT15M'
    eachTime: true
    query: '${events} | where event == "unexpected_error"'
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
    query: '${events} | where event == "notifications_forged" | summarize forged = sum(itemCount * coalesce(toint(extract(@" count=(\\d+)", 1, message)), 1)) | where forged > 100'
  }
  {
    name: 'push-degraded'
    title: 'Several mailboxes lost push'
    description: 'Their subscriptions cannot be kept, so they are polled instead: mail comes later, none is lost.'
    severity: 3
    frequency: 'PT15M'
    window: 'PT1H'
    query: '${events} | where event == "push_degraded" | summarize mailboxes = dcount(mailbox) | where mailboxes >= 3'
  }
  {
    // Not while no mailbox is connected, and not before the app has watched for as long as the window.
    name: 'no-mail'
    title: 'No new mail in any mailbox for long'
    description: 'Mailboxes were read in the whole window, and nothing was written.'
    severity: 3
    frequency: 'PT1H'
    window: noMailWindow
    query: '${events} | where event == "sync_completed" | summarize withMail = countif(toint(extract(@" added=(\\d+)", 1, message)) > 0), begun = min(timestamp) | where withMail == 0 and begun < ago(${seenWhole[noMailWindow]})'
  }
  {
    name: 'key-vault-throttled'
    title: 'Key Vault throttles the app'
    description: 'The vault takes 300 writes and 4,000 reads per ten seconds. Syncs wait and go on; if it lasts, spread mailboxes over deployments.'
    severity: 2
    frequency: 'PT15M'
    window: 'PT15M'
    query: '${events} | where event == "key_vault_throttled" | summarize throttled = sum(itemCount) | where throttled > 10'
  }
  {
    // It has no cap of its own, so that nobody can end it; anybody can make it grow, by asking the vault in vain.
    name: 'audit-log-grows'
    title: 'The vault\'s audit log grows fast'
    description: 'More than a gigabyte in 24 hours: somebody asks the vault again and again, with or without success. The table AZKVAuditLogs names the callers.'
    severity: 2
    frequency: 'PT1H'
    window: 'P1D'
    on: 'audit'
    query: 'Usage | where IsBillable | summarize gigabytes = sum(Quantity) / 1000 | where gigabytes > 1'
  }
]

@description('What an alert is scoped to.')
var places = {
  component: componentId
  workspace: workspaceId
  audit: auditWorkspaceId
}

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
      autoMitigate: !(alert.?eachTime ?? false)
      scopes: [
        places[alert.?on ?? 'component']
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

@description('Resource id of the action group; empty where nobody is told.')
output actionGroupId string = empty(email) ? '' : actionGroup.id
