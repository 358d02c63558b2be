variable "cluster_name" {
  description = "The name of the EKS cluster. The queue is called like it."
  type        = string
}

variable "node_role" {
  description = "The name of the role that nodes have, as in spec.role of EC2NodeClasses. Empty makes one, called <cluster>-whittle-node."
  type        = string
  default     = ""
}

variable "namespace" {
  description = "The namespace of the controller."
  type        = string
  default     = "kube-system"
}

variable "service_account" {
  description = "The service account of the controller."
  type        = string
  default     = "whittle"
}

variable "oidc_provider" {
  description = "The cluster's OIDC provider without https://, for IAM roles for service accounts. Empty uses EKS Pod Identity, whose agent then has to run in the cluster."
  type        = string
  default     = ""
}
