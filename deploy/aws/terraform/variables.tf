variable "cluster_name" {
  description = "The name of the EKS cluster."
  type        = string
}

variable "queue_name" {
  description = "The name of the queue, of at most 80 characters. Empty calls it <cluster>-whittle, which is too long where the cluster's name has more than 72."
  type        = string
  default     = ""
}

variable "node_role" {
  description = "The name of the role that nodes have, as in spec.role of EC2NodeClasses. Empty makes one, and the output node_role says what it is called."
  type        = string
  default     = ""
}

variable "make_access_entry" {
  description = "Whether the role that is made for nodes gets an access entry, with which they may join the cluster. EKS refuses it where the cluster's authentication mode is CONFIG_MAP; there the role belongs into the ConfigMap aws-auth."
  type        = bool
  default     = false
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
