# The role of the controller with the policies of ../iam, and the role of the nodes that it launches.

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition
  region    = data.aws_region.current.name

  # AWS takes names of 64 characters, and Terraform ends those that begin with a prefix with 26 of its own: roles and
  # policies of two regions are not in each other's way.
  prefix = substr(var.cluster_name, 0, 16)

  node_role = var.node_role == "" ? aws_iam_role.node[0].name : var.node_role

  # The files are written with the names that CloudFormation has for these.
  policies = {
    for name in ["discovery", "interruption", "launch", "profiles"] : name =>
    replace(replace(replace(replace(replace(replace(
      file("${path.module}/../iam/${name}.json"),
      "$${AWS::AccountId}", local.account),
      "$${AWS::Partition}", local.partition),
      "$${AWS::Region}", local.region),
      "$${ClusterName}", var.cluster_name),
      "$${QueueName}", aws_sqs_queue.notices.name),
    "$${NodeRole}", local.node_role)
  }

  by_pod_identity = {
    Effect    = "Allow"
    Principal = { Service = "pods.eks.amazonaws.com" }
    Action    = ["sts:AssumeRole", "sts:TagSession"]
  }

  by_service_account = {
    Effect    = "Allow"
    Principal = { Federated = "arn:${local.partition}:iam::${local.account}:oidc-provider/${var.oidc_provider}" }
    Action    = "sts:AssumeRoleWithWebIdentity"
    Condition = {
      StringEquals = {
        "${var.oidc_provider}:aud" = "sts.amazonaws.com"
        "${var.oidc_provider}:sub" = "system:serviceaccount:${var.namespace}:${var.service_account}"
      }
    }
  }
}

resource "aws_iam_role" "controller" {
  name_prefix = "${local.prefix}-whittle-"
  # As text on both sides, for the two are of different types.
  assume_role_policy = var.oidc_provider == "" ? jsonencode({
    Version   = "2012-10-17"
    Statement = [local.by_pod_identity]
    }) : jsonencode({
    Version   = "2012-10-17"
    Statement = [local.by_service_account]
  })
}

resource "aws_iam_policy" "controller" {
  for_each = local.policies

  name_prefix = "${local.prefix}-whittle-${each.key}-"
  policy      = each.value
}

resource "aws_iam_role_policy_attachment" "controller" {
  for_each = local.policies

  role       = aws_iam_role.controller.name
  policy_arn = aws_iam_policy.controller[each.key].arn
}

resource "aws_eks_pod_identity_association" "controller" {
  count = var.oidc_provider == "" ? 1 : 0

  cluster_name    = var.cluster_name
  namespace       = var.namespace
  service_account = var.service_account
  role_arn        = aws_iam_role.controller.arn
}

resource "aws_iam_role" "node" {
  count = var.node_role == "" ? 1 : 0

  name_prefix = "${local.prefix}-whittle-node-"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "ec2.${data.aws_partition.current.dns_suffix}" }
      Action    = "sts:AssumeRole"
    }]
  })
}

resource "aws_iam_role_policy_attachment" "node" {
  for_each = var.node_role == "" ? toset([
    "AmazonEC2ContainerRegistryPullOnly",
    "AmazonEKS_CNI_Policy",
    "AmazonEKSWorkerNodePolicy",
    "AmazonSSMManagedInstanceCore",
  ]) : toset([])

  role       = aws_iam_role.node[0].name
  policy_arn = "arn:${local.partition}:iam::aws:policy/${each.value}"
}

resource "aws_eks_access_entry" "node" {
  count = var.node_role == "" && var.make_access_entry ? 1 : 0

  cluster_name  = var.cluster_name
  principal_arn = aws_iam_role.node[0].arn
  type          = "EC2_LINUX"
}
