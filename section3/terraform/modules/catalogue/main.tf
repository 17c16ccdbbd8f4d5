# One item for each image; an item goes when its image goes.
resource "aws_dynamodb_table" "this" {
  name                        = var.table
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = "image_id"
  stream_enabled              = true # AWS keeps it 24 hours
  stream_view_type            = "NEW_IMAGE"
  deletion_protection_enabled = var.protect

  attribute {
    name = "image_id"
    type = "S"
  }

  attribute {
    name = "customer_id"
    type = "S"
  }

  attribute {
    name = "received_at"
    type = "S"
  }

  global_secondary_index {
    name            = "by-customer"
    hash_key        = "customer_id"
    range_key       = "received_at"
    projection_type = "KEYS_ONLY"
  }

  ttl {
    enabled        = true
    attribute_name = "expires_at"
  }

  point_in_time_recovery {
    enabled                 = true
    recovery_period_in_days = var.backup_days
  }

  server_side_encryption {
    enabled     = true
    kms_key_arn = var.key_arn
  }
}
