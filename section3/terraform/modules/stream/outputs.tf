output "brokers" {
  description = "Where clients begin, TLS with IAM."
  value       = one(aws_msk_cluster.this[*].bootstrap_brokers_sasl_iam)
}
