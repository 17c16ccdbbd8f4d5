# catalogue's stream -> facts without image ids (7 days) -> daily counts by customer and type (two years) -> SQL
module "bucket" {
  source = "../bucket"

  name              = var.buckets.analytics
  key_arn           = var.key_arn
  access_log_bucket = var.access_log_bucket
  protect           = var.protect

  expire_after_days = {
    facts      = { prefix = "facts/", days = var.retention.facts_days }
    unreadable = { prefix = "unreadable/", days = var.retention.facts_days }
    aggregates = { prefix = "aggregates/", days = var.retention.aggregates_days }
  }
}

module "results" {
  source = "../bucket"

  name              = var.buckets.results
  key_arn           = var.key_arn
  access_log_bucket = var.access_log_bucket
  expire_after_days = { results = { prefix = "", days = var.retention.results_days } }
  protect           = var.protect
}

# One fact for each image: only new items, so what is delivered twice to a worker is still counted once.
resource "aws_pipes_pipe" "facts" {
  name     = var.facts
  role_arn = var.role_arns["facts-pipe"]
  source   = var.feed_arn
  target   = aws_kinesis_firehose_delivery_stream.facts.arn

  source_parameters {
    filter_criteria {
      filter {
        pattern = jsonencode({ eventName = ["INSERT"] })
      }
    }

    dynamodb_stream_parameters {
      starting_position                  = "TRIM_HORIZON"
      batch_size                         = 500
      maximum_batching_window_in_seconds = 5
      on_partial_batch_item_failure      = "AUTOMATIC_BISECT"
    }
  }

  target_parameters {
    input_template = <<-TEMPLATE
      {"customer_id": "<$.dynamodb.NewImage.customer_id.S>", "type": "<$.dynamodb.NewImage.type.S>", "bytes": "<$.dynamodb.NewImage.bytes.N>", "received_at": "<$.dynamodb.NewImage.received_at.S>"}
    TEMPLATE
  }
}

resource "aws_kinesis_firehose_delivery_stream" "facts" {
  name        = var.facts
  destination = "extended_s3"

  server_side_encryption {
    enabled  = true
    key_type = "CUSTOMER_MANAGED_CMK"
    key_arn  = var.key_arn
  }

  extended_s3_configuration {
    role_arn            = var.role_arns["facts-delivery"]
    bucket_arn          = "arn:aws:s3:::${module.bucket.id}"
    prefix              = "facts/day=!{timestamp:yyyy-MM-dd}/"
    error_output_prefix = "unreadable/!{firehose:error-output-type}/day=!{timestamp:yyyy-MM-dd}/"
    buffering_size      = 128
    buffering_interval  = 300
    compression_format  = "GZIP"
    kms_key_arn         = var.key_arn

    # One fact a line, as SQL engines read JSON.
    processing_configuration {
      enabled = true

      processors {
        type = "AppendDelimiterToRecord"

        parameters {
          parameter_name  = "Delimiter"
          parameter_value = "\\n"
        }
      }
    }
  }
}

resource "aws_glue_catalog_database" "this" {
  name = var.database
}

locals {
  serde = "org.openx.data.jsonserde.JsonSerDe"
  tables = {
    facts = {
      format  = "json"
      columns = [["customer_id", "string"], ["type", "string"], ["bytes", "bigint"], ["received_at", "string"]]
    }
    images_by_day = {
      format  = "parquet"
      columns = [["customer_id", "string"], ["type", "string"], ["images", "bigint"], ["bytes", "bigint"]]
    }
  }
  prefixes = { facts = "facts", images_by_day = "aggregates" }
}

resource "aws_glue_catalog_table" "this" {
  for_each = local.tables

  database_name = aws_glue_catalog_database.this.name
  name          = each.key
  table_type    = "EXTERNAL_TABLE"

  # Partitions follow from the day in the path: nobody has to register them.
  parameters = {
    EXTERNAL                    = "TRUE"
    classification              = each.value.format
    "projection.enabled"        = "true"
    "projection.day.type"       = "date"
    "projection.day.format"     = "yyyy-MM-dd"
    "projection.day.range"      = "2026-01-01,NOW"
    "storage.location.template" = "s3://${module.bucket.id}/${local.prefixes[each.key]}/day=$${day}/"
  }

  partition_keys {
    name = "day"
    type = "string"
  }

  storage_descriptor {
    location      = "s3://${module.bucket.id}/${local.prefixes[each.key]}/"
    input_format  = each.value.format == "json" ? "org.apache.hadoop.mapred.TextInputFormat" : "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat"
    output_format = each.value.format == "json" ? "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat" : "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat"

    ser_de_info {
      serialization_library = each.value.format == "json" ? local.serde : "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"
    }

    dynamic "columns" {
      for_each = each.value.columns
      content {
        name = columns.value[0]
        type = columns.value[1]
      }
    }
  }
}

resource "aws_athena_workgroup" "this" {
  name          = var.workgroup
  force_destroy = !var.protect

  configuration {
    enforce_workgroup_configuration    = true # nobody sends results elsewhere
    publish_cloudwatch_metrics_enabled = true
    bytes_scanned_cutoff_per_query     = 1099511627776

    result_configuration {
      output_location = "s3://${module.results.id}/"

      encryption_configuration {
        encryption_option = "SSE_KMS"
        kms_key_arn       = var.key_arn
      }
    }
  }
}

# At two in the morning yesterday's facts are complete (they are filed by the day of their delivery). The scheduler may
# start a query twice; Athena runs a token once.
resource "aws_scheduler_schedule" "rollup" {
  name                         = "${var.name}-rollup"
  schedule_expression          = "cron(0 2 * * ? *)"
  schedule_expression_timezone = "UTC"
  kms_key_arn                  = var.key_arn

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = "arn:aws:scheduler:::aws-sdk:athena:startQueryExecution"
    role_arn = var.role_arns["rollup"]

    input = jsonencode({
      ClientRequestToken    = "${var.name}-rollup-for-the-day-before-<aws.scheduler.scheduled-time>"
      WorkGroup             = aws_athena_workgroup.this.name
      QueryExecutionContext = { Database = aws_glue_catalog_database.this.name }
      QueryString           = <<-SQL
        insert into images_by_day (customer_id, type, images, bytes, day)
        select customer_id, type, count(*), sum(bytes), day
        from facts
        where day = date_format(from_iso8601_timestamp('<aws.scheduler.scheduled-time>') - interval '1' day, '%Y-%m-%d')
        group by customer_id, type, day
      SQL
    })

    retry_policy {
      maximum_retry_attempts = 20
    }
  }
}

resource "aws_athena_named_query" "images_by_customer" {
  name      = "images by customer and type, last 30 days"
  workgroup = aws_athena_workgroup.this.name
  database  = aws_glue_catalog_database.this.name
  query     = <<-SQL
    select customer_id, type, sum(images) as images
    from images_by_day
    where day >= cast(current_date - interval '30' day as varchar)
    group by customer_id, type
    order by images desc
  SQL
}
