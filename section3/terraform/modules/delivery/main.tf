# viewer -> read API (filters on expiry, signs an address for minutes) -> CDN -> images bucket
terraform {
  required_providers {
    aws = {
      source                = "hashicorp/aws"
      configuration_aliases = [aws.edge]
    }
  }
}

module "read_api" {
  source = "../function_api"

  function  = var.function
  role_arn  = var.role_arn
  image_uri = var.image_uri
  route     = "GET /images/{id}"
  identity  = var.identity
  key_arn   = var.key_arn
  logs_days = var.logs_days
  environment = {
    TABLE       = var.table, CDN = aws_cloudfront_distribution.this.domain_name, SIGNING_KEY = var.signing_key
    KEY_PAIR_ID = aws_cloudfront_public_key.this.id, ADDRESS_SECONDS = "300"
  }
}

# Made empty: the private key is put in by hand once, so that it is in no state file.
resource "aws_secretsmanager_secret" "signing_key" {
  #checkov:skip=CKV2_AWS_57:A new key means a new public key in the key group first; the page says how, once a quarter
  name                    = var.signing_key
  kms_key_id              = var.key_arn
  recovery_window_in_days = var.protect ? 7 : 0
}

resource "aws_cloudfront_public_key" "this" {
  name        = var.name
  encoded_key = var.signing_public_key
}

resource "aws_cloudfront_key_group" "this" {
  name  = var.name
  items = [aws_cloudfront_public_key.this.id]
}

resource "aws_cloudfront_origin_access_control" "this" {
  name                              = var.name
  origin_access_control_origin_type = "s3"
  signing_behavior                  = "always"
  signing_protocol                  = "sigv4"
}

resource "aws_cloudfront_distribution" "this" {
  #checkov:skip=CKV_AWS_310:S3 in one region is the only origin; the page says why there is no second
  #checkov:skip=CKV_AWS_374:Customers are not bound to countries
  #checkov:skip=CKV2_AWS_32:Images carry no scripts; the policy of headers is for pages
  #checkov:skip=CKV2_AWS_42:CloudFront's own certificate and name; a name of the company's is a variable of the day it has one
  #checkov:skip=CKV_AWS_174:CloudFront's own name fixes the protocol at TLS 1.0 or newer; addresses are signed all the same
  #checkov:skip=CKV_AWS_305:There is no page at the root, and unsigned requests are refused
  #checkov:skip=CKV2_AWS_47:The rules for Log4j (KnownBadInputs) are in the firewall's list, which this check does not unfold
  comment     = var.name
  enabled     = true
  price_class = "PriceClass_100"
  web_acl_id  = aws_wafv2_web_acl.this.arn

  origin {
    origin_id                = "images"
    domain_name              = var.bucket_domain
    origin_access_control_id = aws_cloudfront_origin_access_control.this.id
  }

  default_cache_behavior {
    target_origin_id       = "images"
    viewer_protocol_policy = "https-only"
    allowed_methods        = ["GET", "HEAD"]
    cached_methods         = ["GET", "HEAD"]
    trusted_key_groups     = [aws_cloudfront_key_group.this.id]
    compress               = false

    # The cache is one more place that holds images. An address lives for minutes, so a cached image cannot be read
    # past its expiry; its bytes leave the cache within the hour.
    min_ttl     = 0
    default_ttl = 3600
    max_ttl     = 3600

    forwarded_values {
      query_string = false

      cookies {
        forward = "none"
      }
    }
  }

  restrictions {
    geo_restriction {
      restriction_type = "none"
    }
  }

  viewer_certificate {
    cloudfront_default_certificate = true
  }

  logging_config {
    bucket = "${var.access_log_bucket}.s3.amazonaws.com"
    prefix = "cdn/"
  }
}
