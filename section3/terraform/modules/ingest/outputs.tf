output "url" {
  description = "The upload API's address."
  value       = module.upload_api.url
}

output "queue_url" {
  description = "The upload queue's address."
  value       = aws_sqs_queue.uploaded.url
}

output "bucket_domain" {
  description = "The images bucket's address in its region."
  value       = module.bucket.domain
}
