# Names are made here, once, so that policies can name resources that do not exist yet and a plan shows them in full.
locals {
  tags = { product = "image-platform", stack = var.name }

  buckets = {
    for bucket in ["images", "analytics", "results", "audit", "access-logs"] :
    bucket => "${var.name}-${bucket}-${var.account_id}"
  }
  bucket_arns = { for key, bucket in local.buckets : key => "arn:aws:s3:::${bucket}" }

  queue       = "${var.name}-uploaded"
  dead_letter = "${var.name}-uploaded-dead-letter"
  table       = "${var.name}-catalogue"
  cluster     = "${var.name}-stream"
  workgroup   = "${var.name}-analysts"
  database    = replace("${var.name}_analytics", "-", "_")
  facts       = "${var.name}-facts"
  signing_key = "${var.name}/signing-key"
  functions   = { upload = "${var.name}-upload-api", read = "${var.name}-read-api" }

  here = "${var.region}:${var.account_id}"
  arns = {
    queue       = "arn:aws:sqs:${local.here}:${local.queue}"
    dead_letter = "arn:aws:sqs:${local.here}:${local.dead_letter}"
    table       = "arn:aws:dynamodb:${local.here}:table/${local.table}"
    table_feed  = "arn:aws:dynamodb:${local.here}:table/${local.table}/stream/*"
    table_index = "arn:aws:dynamodb:${local.here}:table/${local.table}/index/by-customer"
    # Kafka adds an unforeseeable suffix to a cluster's ARN.
    cluster     = "arn:aws:kafka:${local.here}:cluster/${local.cluster}/*"
    topic       = "arn:aws:kafka:${local.here}:topic/${local.cluster}/*/images"
    groups      = "arn:aws:kafka:${local.here}:group/${local.cluster}/*/stream-sink"
    workgroup   = "arn:aws:athena:${local.here}:workgroup/${local.workgroup}"
    catalog     = "arn:aws:glue:${local.here}:catalog"
    database    = "arn:aws:glue:${local.here}:database/${local.database}"
    tables      = "arn:aws:glue:${local.here}:table/${local.database}/*"
    facts       = "arn:aws:firehose:${local.here}:deliverystream/${local.facts}"
    signing_key = "arn:aws:secretsmanager:${local.here}:secret:${local.signing_key}-*"
    repository  = "arn:aws:ecr:${local.here}:repository/${var.name}/*"
    task_logs   = "arn:aws:logs:${local.here}:log-group:/${var.name}/task/*"
    api_logs    = "arn:aws:logs:${local.here}:log-group:/aws/lambda/${var.name}-*"
  }

  # Every place that can hold an image or its metadata has its age here. Customers are promised 7 days; the live stores
  # lag behind it by hours, which is why readers filter on `expires_at` too.
  retention = {
    images_days         = 7
    topic_hours         = 24            # an image waits here for the sink, then lives in the bucket
    queue_seconds       = 3 * 24 * 3600 # a message names an image
    dead_letter_seconds = 6 * 24 * 3600 # counted from the first send, so longer than the queue's
    backup_days         = 1             # a restored table is at most a day back, and TTL runs again on it
    logs_days           = 7
    results_days        = 1
    access_logs_days    = 7   # addresses of images are in it
    facts_days          = 7   # a row for each image, without its id
    aggregates_days     = 760 # counts by day, customer and type: two years and a month to compare
    audit_days          = 365 # who did what; random object ids, no image and no metadata
  }
}
