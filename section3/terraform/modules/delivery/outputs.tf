output "url" {
  description = "The read API's address."
  value       = module.read_api.url
}

output "distribution_arn" {
  description = "The CDN, for the bucket's policy."
  value       = aws_cloudfront_distribution.this.arn
}
