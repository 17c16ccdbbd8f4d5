# The names that the page and its diagrams use, and what they are here. A test holds all three equal.
output "components" {
  description = "Component of the design: its main resource or module."
  value = {
    "Upload API"      = "module.ingest.module.upload_api"
    "Images bucket"   = "module.ingest.module.bucket"
    "Upload queue"    = "module.ingest.aws_sqs_queue.uploaded"
    "Dead letters"    = "module.ingest.aws_sqs_queue.dead_letter"
    "Kafka stream"    = "module.stream.aws_msk_cluster.this"
    "Stream sink"     = "module.processing.aws_ecs_service.this[\"stream-sink\"]"
    "Image processor" = "module.processing.aws_ecs_service.this[\"processor\"]"
    "Catalogue"       = "module.catalogue.aws_dynamodb_table.this"
    "Facts"           = "module.analytics.aws_kinesis_firehose_delivery_stream.facts"
    "Daily counts"    = "module.analytics.aws_glue_catalog_table.this[\"images_by_day\"]"
    "Analysts' SQL"   = "module.analytics.aws_athena_workgroup.this"
    "Query results"   = "module.analytics.module.results"
    "Read API"        = "module.delivery.module.read_api"
    "CDN"             = "module.delivery.aws_cloudfront_distribution.this"
    "Firewall"        = "module.delivery.aws_wafv2_web_acl.this"
    "Keys"            = "module.security.aws_kms_key.data"
    "Team roles"      = "module.security.aws_iam_role.team"
    "Audit trail"     = "module.security.aws_cloudtrail.this"
    "Access logs"     = "module.security.module.access_logs"
    "Private network" = "module.network.aws_vpc.this"
    "Alarms"          = "module.observability.aws_cloudwatch_metric_alarm.this"
  }
}
