# The queue with the notices of EC2, and the rules that fill it.

locals {
  rules = {
    health       = { source = "aws.health", detail_type = "AWS Health Event" }
    interruption = { source = "aws.ec2", detail_type = "EC2 Spot Instance Interruption Warning" }
    rebalance    = { source = "aws.ec2", detail_type = "EC2 Instance Rebalance Recommendation" }
    reservation  = { source = "aws.ec2", detail_type = "EC2 Capacity Reservation Instance Interruption Warning" }
    state        = { source = "aws.ec2", detail_type = "EC2 Instance State-change Notification" }
  }
}

resource "aws_sqs_queue" "notices" {
  # Not the cluster's name, which is that of Karpenter's queue: the two may be there side by side.
  name = var.queue_name == "" ? "${var.cluster_name}-whittle" : var.queue_name
  # A notice that is older than this has come true.
  message_retention_seconds = 300
  sqs_managed_sse_enabled   = true
}

resource "aws_cloudwatch_event_rule" "notices" {
  for_each = local.rules

  name_prefix = "${local.prefix}-whittle-${each.key}-"
  event_pattern = jsonencode({
    source        = [each.value.source]
    "detail-type" = [each.value.detail_type]
  })
}

resource "aws_cloudwatch_event_target" "notices" {
  for_each = local.rules

  rule      = aws_cloudwatch_event_rule.notices[each.key].name
  target_id = "queue"
  arn       = aws_sqs_queue.notices.arn
}

resource "aws_sqs_queue_policy" "notices" {
  queue_url = aws_sqs_queue.notices.url
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "NoticesCome"
        Effect    = "Allow"
        Principal = { Service = "events.amazonaws.com" }
        Action    = "sqs:SendMessage"
        Resource  = aws_sqs_queue.notices.arn
        Condition = { ArnEquals = { "aws:SourceArn" = [for rule in aws_cloudwatch_event_rule.notices : rule.arn] } }
      },
      {
        Sid       = "NothingInTheClear"
        Effect    = "Deny"
        Principal = "*"
        Action    = "sqs:*"
        Resource  = aws_sqs_queue.notices.arn
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
    ]
  })
}
