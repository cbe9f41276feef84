package resource

// EventTargetGiven is a target with its secrets: exactly one of its fields must be given.
type EventTargetGiven struct {
	Firehose           *FirehoseTargetGiven   `json:"firehose,omitzero" doc:"Amazon Data Firehose."`
	Kinesis            *KinesisTargetGiven    `json:"kinesis,omitzero" doc:"Amazon Kinesis Data Streams."`
	CloudwatchLogs     *CloudwatchTargetGiven `json:"cloudwatch_logs,omitzero" doc:"Amazon CloudWatch Logs."`
	Datadog            *DatadogTargetGiven    `json:"datadog,omitzero" doc:"Datadog."`
	AzureLogsIngestion *AzureTargetGiven      `json:"azure_logs_ingestion,omitzero" doc:"Azure Monitor's Logs Ingestion API."`
	Debug              *DebugTargetGiven      `json:"debug,omitzero" doc:"For trying things out."`
}

// FirehoseTargetGiven is a delivery stream.
type FirehoseTargetGiven struct {
	Auth              AWSAuthGiven `json:"auth,omitzero" doc:"How the server signs in to AWS: exactly one way."`
	DeliveryStreamARN string       `json:"delivery_stream_arn,omitzero" doc:"The delivery stream's ARN."`
}

// KinesisTargetGiven is a data stream.
type KinesisTargetGiven struct {
	Auth      AWSAuthGiven `json:"auth,omitzero" doc:"How the server signs in to AWS: exactly one way."`
	StreamARN string       `json:"stream_arn,omitzero" doc:"The data stream's ARN."`
}

// CloudwatchTargetGiven is a group of logs.
type CloudwatchTargetGiven struct {
	Auth        AWSAuthGiven `json:"auth,omitzero" doc:"How the server signs in to AWS: exactly one way."`
	LogGroupARN string       `json:"log_group_arn,omitzero" doc:"The log group's ARN."`
}

// AWSAuthGiven is a way to sign in to AWS: exactly one of its fields must be given.
type AWSAuthGiven struct {
	Role  *AWSRole             `json:"role,omitzero" doc:"By taking on a role."`
	Creds *AWSCredentialsGiven `json:"creds,omitzero" doc:"By an access key."`
}

// AWSCredentialsGiven are an access key.
type AWSCredentialsGiven struct {
	AWSAccessKeyID     string `json:"aws_access_key_id,omitzero" doc:"The access key's id."`
	AWSSecretAccessKey string `json:"aws_secret_access_key,omitzero" api:"secret" doc:"Its secret; no answer shows it."`
}

// DatadogTargetGiven is an organisation's logs.
type DatadogTargetGiven struct {
	APIKey  string `json:"api_key,omitzero" api:"secret" doc:"Datadog's API key; no answer shows it."`
	DDTags  string `json:"ddtags,omitzero" doc:"Tags for the log, with commas between them."`
	Service string `json:"service,omitzero" doc:"The service that logs are said to be of."`
	DDSite  string `json:"ddsite,omitzero" doc:"Datadog's site, such as datadoghq.eu."`
}

// AzureTargetGiven is a stream of a data collection rule.
type AzureTargetGiven struct {
	TenantID                 string `json:"tenant_id,omitzero" doc:"The tenant's id."`
	ClientID                 string `json:"client_id,omitzero" doc:"The application's id."`
	ClientSecret             string `json:"client_secret,omitzero" api:"secret" doc:"The application's secret; no answer shows it."`
	LogsIngestionURI         string `json:"logs_ingestion_uri,omitzero" doc:"Where logs are taken in."`
	DataCollectionRuleID     string `json:"data_collection_rule_id,omitzero" doc:"The immutable id of the data collection rule."`
	DataCollectionStreamName string `json:"data_collection_stream_name,omitzero" doc:"The name of the rule's stream."`
}

// DebugTargetGiven is for trying things out: at least one of its fields must be given.
type DebugTargetGiven struct {
	Log         bool   `json:"log,omitzero" doc:"Write events to the server's log."`
	CallbackURL string `json:"callback_url,omitzero" doc:"Send events there: an https or http address."`
}
