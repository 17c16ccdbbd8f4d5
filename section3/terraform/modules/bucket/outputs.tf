output "id" {
  description = "The bucket's name, known once its policy is in force."
  value       = aws_s3_bucket.this.id
  depends_on  = [aws_s3_bucket_policy.this]
}

output "domain" {
  description = "Its address in its region."
  value       = aws_s3_bucket.this.bucket_regional_domain_name
}
