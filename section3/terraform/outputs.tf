output "upload_url" {
  description = "Where images are announced: POST /images answers with an address to PUT the bytes to."
  value       = module.ingest.url
}

output "read_url" {
  description = "GET /images/{id} answers with a signed address, while the image is not expired."
  value       = module.delivery.url
}

output "images_bucket" {
  description = "The object store."
  value       = local.buckets.images
}

output "queue_url" {
  description = "One message for each object that has arrived."
  value       = module.ingest.queue_url
}

output "role_arns" {
  description = "Every role, by its short name."
  value       = module.security.role_arns
}
