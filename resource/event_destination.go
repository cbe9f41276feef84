package resource

// EventDestination is where events are delivered to.
type EventDestination struct {
	Identity
	Notes
	Format string      `json:"format" doc:"How events are written: json."`
	Target EventTarget `json:"target" doc:"Where they go: one of its fields is set."`
}

// EventTarget is a target as it is shown: without its secrets.
type EventTarget struct {
	Firehose           *FirehoseTarget   `json:"firehose" doc:"Amazon Data Firehose."`
	Kinesis            *KinesisTarget    `json:"kinesis" doc:"Amazon Kinesis Data Streams."`
	CloudwatchLogs     *CloudwatchTarget `json:"cloudwatch_logs" doc:"Amazon CloudWatch Logs."`
	Datadog            *DatadogTarget    `json:"datadog" doc:"Datadog."`
	AzureLogsIngestion *AzureTarget      `json:"azure_logs_ingestion" doc:"Azure Monitor's Logs Ingestion API."`
	Debug              *DebugTarget      `json:"debug" doc:"For trying things out."`
}

// FirehoseTarget is a delivery stream.
type FirehoseTarget struct {
	Auth              AWSAuth `json:"auth" doc:"How the server signs in to AWS."`
	DeliveryStreamARN string  `json:"delivery_stream_arn" doc:"The delivery stream's ARN."`
}

// KinesisTarget is a data stream.
type KinesisTarget struct {
	Auth      AWSAuth `json:"auth" doc:"How the server signs in to AWS."`
	StreamARN string  `json:"stream_arn" doc:"The data stream's ARN."`
}

// CloudwatchTarget is a group of logs.
type CloudwatchTarget struct {
	Auth        AWSAuth `json:"auth" doc:"How the server signs in to AWS."`
	LogGroupARN string  `json:"log_group_arn" doc:"The log group's ARN."`
}

// AWSAuth is a way to sign in to AWS: one of its fields is set.
type AWSAuth struct {
	Role  *AWSRole        `json:"role" doc:"By taking on a role."`
	Creds *AWSCredentials `json:"creds" doc:"By an access key."`
}

// AWSRole is a role to take on.
type AWSRole struct {
	RoleARN string `json:"role_arn" doc:"The role's ARN."`
}

// AWSCredentials are an access key without its secret.
type AWSCredentials struct {
	AWSAccessKeyID     string  `json:"aws_access_key_id" doc:"The access key's id."`
	AWSSecretAccessKey *string `json:"aws_secret_access_key" doc:"Always null: it is never shown."`
}

// DatadogTarget is an organisation's logs.
type DatadogTarget struct {
	APIKey  *string `json:"api_key" doc:"Always null: it is never shown."`
	DDTags  *string `json:"ddtags" doc:"Tags for the log, with commas between them."`
	Service *string `json:"service" doc:"The service that logs are said to be of."`
	DDSite  *string `json:"ddsite" doc:"Datadog's site, such as datadoghq.eu."`
}

// AzureTarget is a stream of a data collection rule.
type AzureTarget struct {
	TenantID                 string `json:"tenant_id" doc:"The tenant's id."`
	ClientID                 string `json:"client_id" doc:"The application's id."`
	ClientSecret             string `json:"client_secret" doc:"Always empty: it is never shown."`
	LogsIngestionURI         string `json:"logs_ingestion_uri" doc:"Where logs are taken in."`
	DataCollectionRuleID     string `json:"data_collection_rule_id" doc:"The immutable id of the data collection rule."`
	DataCollectionStreamName string `json:"data_collection_stream_name" doc:"The name of the rule's stream."`
}

// DebugTarget is for trying things out.
type DebugTarget struct {
	Log         bool   `json:"log" doc:"Events are written to the server's log."`
	CallbackURL string `json:"callback_url" doc:"Events are sent there."`
}

// EventDestinationCreate makes an EventDestination.
type EventDestinationCreate struct {
	Description string           `json:"description,omitzero" doc:"For people, up to 255 bytes."`
	Metadata    string           `json:"metadata,omitzero" doc:"For programs, up to 4096 bytes."`
	Format      string           `json:"format,omitzero" doc:"How events are written: json, which is the default."`
	Target      EventTargetGiven `json:"target,omitzero" api:"required,checked" doc:"Where they are to go: exactly one of its fields."`
}

// EventDestinationUpdate changes an EventDestination; what is nil stays.
type EventDestinationUpdate struct {
	Description *string           `json:"description,omitzero" doc:"For people, up to 255 bytes."`
	Metadata    *string           `json:"metadata,omitzero" doc:"For programs, up to 4096 bytes."`
	Format      *string           `json:"format,omitzero" doc:"How events are written: json."`
	Target      *EventTargetGiven `json:"target,omitzero" doc:"Another target as a whole. Of one of the same kind a secret may be left out, which then stays."`
}

// EventDestinations are the places to which the account's events may go.
func EventDestinations() Collection[EventDestination, EventDestinationCreate, EventDestinationUpdate] {
	return Define[EventDestination, EventDestinationCreate, EventDestinationUpdate](Definition{
		Name: "event_destinations", Singular: "event destination", Prefixes: []string{"ed"}, Operations: All,
		Doc: "A place for events, for event subscriptions to name. This version of the server keeps destinations and delivers nothing to them yet.",
	})
}
