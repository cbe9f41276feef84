package service

import (
	"net/url"
	"reflect"
	"strings"

	"github.com/postern-dev/postern"
	"github.com/postern-dev/postern/resource"
)

// maxTargetText bounds each text of a target, in bytes.
const maxTargetText = 2048

// target is one that was given, and is well formed.
type target struct {
	shown       resource.EventTarget
	secret      postern.Secret
	needsSecret string // the field that the secret belongs in, "" where there is none
}

// readTarget checks a target.
func readTarget(given resource.EventTargetGiven) (target, error) {
	if err := checkTarget(given); err != nil {
		return target{}, err
	}
	var t target
	var err error
	switch {
	case present(given.Firehose):
		t.shown.Firehose = &resource.FirehoseTarget{DeliveryStreamARN: given.Firehose.DeliveryStreamARN}
		t.shown.Firehose.Auth, err = t.signIn("firehose", given.Firehose.Auth)
	case present(given.Kinesis):
		t.shown.Kinesis = &resource.KinesisTarget{StreamARN: given.Kinesis.StreamARN}
		t.shown.Kinesis.Auth, err = t.signIn("kinesis", given.Kinesis.Auth)
	case present(given.CloudwatchLogs):
		t.shown.CloudwatchLogs = &resource.CloudwatchTarget{LogGroupARN: given.CloudwatchLogs.LogGroupARN}
		t.shown.CloudwatchLogs.Auth, err = t.signIn("cloudwatch_logs", given.CloudwatchLogs.Auth)
	case present(given.Datadog):
		g := given.Datadog
		t.shown.Datadog = &resource.DatadogTarget{DDTags: &g.DDTags, Service: &g.Service, DDSite: &g.DDSite}
		t.secret, t.needsSecret = postern.Secret(g.APIKey), "target.datadog.api_key"
	case present(given.AzureLogsIngestion):
		g := given.AzureLogsIngestion
		t.shown.AzureLogsIngestion = &resource.AzureTarget{TenantID: g.TenantID, ClientID: g.ClientID, LogsIngestionURI: g.LogsIngestionURI,
			DataCollectionRuleID: g.DataCollectionRuleID, DataCollectionStreamName: g.DataCollectionStreamName}
		t.secret, t.needsSecret = postern.Secret(g.ClientSecret), "target.azure_logs_ingestion.client_secret"
	default:
		t.shown.Debug = &resource.DebugTarget{Log: given.Debug.Log, CallbackURL: given.Debug.CallbackURL}
	}
	return t, err
}

// checkTarget refuses what is not exactly one target, or lacks what its kind needs.
func checkTarget(given resource.EventTargetGiven) error {
	count := 0
	for _, one := range []bool{present(given.Firehose), present(given.Kinesis), present(given.CloudwatchLogs),
		present(given.Datadog), present(given.AzureLogsIngestion), present(given.Debug)} {
		if one {
			count++
		}
	}
	if count == 0 {
		return postern.Errorf(postern.CodeEventTargetMissing, "the field \"target\" has none of firehose, kinesis, cloudwatch_logs, datadog, azure_logs_ingestion and debug")
	}
	if count > 1 {
		return postern.Errorf(postern.CodeEventTargetsMany, "the field \"target\" has %d targets; exactly one is allowed", count)
	}
	if err := checkTargetTexts("target", reflect.ValueOf(given)); err != nil {
		return err
	}
	switch {
	case present(given.Firehose):
		return required("target.firehose.delivery_stream_arn", given.Firehose.DeliveryStreamARN)
	case present(given.Kinesis):
		return required("target.kinesis.stream_arn", given.Kinesis.StreamARN)
	case present(given.CloudwatchLogs):
		return required("target.cloudwatch_logs.log_group_arn", given.CloudwatchLogs.LogGroupARN)
	case present(given.AzureLogsIngestion):
		return checkAzure(given.AzureLogsIngestion)
	case present(given.Debug):
		return checkCallback(given.Debug.CallbackURL)
	}
	return nil
}

func checkAzure(given *resource.AzureTargetGiven) error {
	for _, f := range []struct{ name, value string }{
		{"tenant_id", given.TenantID}, {"client_id", given.ClientID}, {"logs_ingestion_uri", given.LogsIngestionURI},
		{"data_collection_rule_id", given.DataCollectionRuleID}, {"data_collection_stream_name", given.DataCollectionStreamName},
	} {
		if err := required("target.azure_logs_ingestion."+f.name, f.value); err != nil {
			return err
		}
	}
	return nil
}

func checkCallback(address string) error {
	if address == "" {
		return nil
	}
	at, err := url.Parse(address)
	if err != nil || at.Scheme != "https" && at.Scheme != "http" || at.Host == "" || at.User != nil {
		return postern.Errorf(postern.CodeValueInvalid, "the field \"target.debug.callback_url\" must be an https or http address without a user")
	}
	return nil
}

// signIn checks how a target of AWS is signed in to.
func (t *target) signIn(kind string, given resource.AWSAuthGiven) (resource.AWSAuth, error) {
	field := "target." + kind + ".auth"
	switch role, creds := present(given.Role), present(given.Creds); {
	case role && creds:
		return resource.AWSAuth{}, postern.Errorf(postern.CodeEventAuthsMany, "the field %q has both role and creds", field)
	case role:
		return resource.AWSAuth{Role: &resource.AWSRole{RoleARN: given.Role.RoleARN}}, nil
	case creds:
		t.secret, t.needsSecret = postern.Secret(given.Creds.AWSSecretAccessKey), field+".creds.aws_secret_access_key"
		return resource.AWSAuth{Creds: &resource.AWSCredentials{AWSAccessKeyID: given.Creds.AWSAccessKeyID}},
			required(field+".creds.aws_access_key_id", given.Creds.AWSAccessKeyID)
	}
	return resource.AWSAuth{}, postern.Errorf(postern.CodeEventAuthMissing, "the field %q has neither role nor creds", field)
}

// present tells whether a part was given. Clients that send every key send null or an
// empty object for the others.
func present[V comparable](part *V) bool {
	var empty V
	return part != nil && *part != empty
}

func required(field, value string) error {
	if value == "" {
		return missing(field)
	}
	return nil
}

func missing(field string) error {
	return postern.Errorf(postern.CodeValueInvalid, "the field %q is missing", field)
}

// checkTargetTexts bounds every text within a value.
func checkTargetTexts(path string, value reflect.Value) error {
	switch value.Kind() {
	case reflect.Pointer:
		if !value.IsNil() {
			return checkTargetTexts(path, value.Elem())
		}
	case reflect.String:
		return checkText(path, value.String(), maxTargetText)
	case reflect.Struct:
		for field, inner := range value.Fields() {
			if err := checkTargetTexts(path+"."+jsonName(field), inner); err != nil {
				return err
			}
		}
	}
	return nil
}

func jsonName(field reflect.StructField) string {
	name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
	return name
}
