output "queue" {
  description = "The value of --interruption-queue."
  value       = aws_sqs_queue.notices.name
}

output "controller_role" {
  description = "The role of the controller. With IAM roles for service accounts, the annotation eks.amazonaws.com/role-arn of its service account."
  value       = aws_iam_role.controller.arn
}

output "node_role" {
  description = "The value of spec.role of EC2NodeClasses."
  value       = local.node_role
}
