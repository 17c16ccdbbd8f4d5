module "security" {
  source = "./modules/security"

  name         = var.name
  account_id   = var.account_id
  region       = var.region
  deployer_arn = var.deployer_arn
  arns         = local.arns
  bucket_arns  = local.bucket_arns
  buckets      = local.buckets
  retention    = local.retention
  protect      = var.protect
}

module "network" {
  source = "./modules/network"

  name                 = var.name
  region               = var.region
  producer_cidr_blocks = var.producer_cidr_blocks
  key_arn              = module.security.data_key_arn
  logs_days            = local.retention.logs_days
  flow_log_role_arn    = module.security.role_arns["flow-logs"]
  bucket_arns          = local.bucket_arns
  table_arn            = local.arns.table
}

module "ingest" {
  source = "./modules/ingest"

  bucket            = local.buckets.images
  access_log_bucket = module.security.access_log_bucket
  queue             = local.queue
  queue_arn         = local.arns.queue
  dead_letter       = local.dead_letter
  function          = local.functions.upload
  role_arn          = module.security.role_arns["upload-api"]
  image_uri         = "${module.processing.repositories["upload-api"]}:${var.image_tag}"
  identity          = { issuer = var.identity_issuer, audience = var.identity_audience }
  key_arn           = module.security.data_key_arn
  distribution_arn  = module.delivery.distribution_arn
  retention         = local.retention
  protect           = var.protect
}

module "stream" {
  source = "./modules/stream"

  cluster           = local.cluster
  subnet_ids        = module.network.subnet_ids
  security_group_id = module.network.kafka_security_group_id
  key_arn           = module.security.data_key_arn
  topic_hours       = local.retention.topic_hours
  with_brokers      = var.with_brokers
  brokers           = var.brokers
  logs_days         = local.retention.logs_days
}

module "processing" {
  source = "./modules/processing"

  name              = var.name
  region            = var.region
  image_tag         = var.image_tag
  with_autoscaling  = var.with_autoscaling
  workers           = var.workers
  subnet_ids        = module.network.subnet_ids
  security_group_id = module.network.worker_security_group_id
  key_arn           = module.security.data_key_arn
  role_arns         = module.security.role_arns
  queue             = { name = local.queue, url = module.ingest.queue_url }
  bucket            = local.buckets.images
  table             = local.table
  kafka             = { cluster = local.cluster, brokers = module.stream.brokers }
  images_days       = local.retention.images_days
  logs_days         = local.retention.logs_days
}

module "catalogue" {
  source = "./modules/catalogue"

  table       = local.table
  key_arn     = module.security.data_key_arn
  backup_days = local.retention.backup_days
  protect     = var.protect
}

module "analytics" {
  source = "./modules/analytics"

  name              = var.name
  database          = local.database
  facts             = local.facts
  workgroup         = local.workgroup
  buckets           = local.buckets
  access_log_bucket = module.security.access_log_bucket
  feed_arn          = module.catalogue.feed_arn
  key_arn           = module.security.data_key_arn
  role_arns         = module.security.role_arns
  retention         = local.retention
  protect           = var.protect
}

module "delivery" {
  source = "./modules/delivery"

  providers = { aws.edge = aws.edge }

  name               = var.name
  function           = local.functions.read
  role_arn           = module.security.role_arns["read-api"]
  image_uri          = "${module.processing.repositories["read-api"]}:${var.image_tag}"
  identity           = { issuer = var.identity_issuer, audience = var.identity_audience }
  key_arn            = module.security.data_key_arn
  bucket_domain      = module.ingest.bucket_domain
  access_log_bucket  = module.security.access_log_bucket
  signing_public_key = var.signing_public_key
  signing_key        = local.signing_key
  table              = local.table
  logs_days          = local.retention.logs_days
  protect            = var.protect
}

module "observability" {
  source = "./modules/observability"

  name        = var.name
  region      = var.region
  key_arn     = module.security.data_key_arn
  alarm_email = var.alarm_email
  queue       = local.queue
  dead_letter = local.dead_letter
  table       = local.table
  bucket      = local.buckets.images
  kafka       = local.cluster
  functions   = local.functions
  facts       = local.facts
}
