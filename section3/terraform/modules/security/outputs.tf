output "data_key_arn" {
  description = "The key of everything that holds data, known once its policy is in force."
  value       = aws_kms_key.data.arn
  depends_on  = [aws_kms_key_policy.data]
}

output "role_arns" {
  description = "Every role, by its short name; teams' as team-NAME."
  value = merge(
    { for name, role in aws_iam_role.service : name => role.arn },
    { for name, role in aws_iam_role.team : "team-${name}" => role.arn },
  )
  depends_on = [aws_iam_role_policy.service]
}

output "access_log_bucket" {
  description = "Where buckets and the CDN log requests."
  value       = module.access_logs.id
}
