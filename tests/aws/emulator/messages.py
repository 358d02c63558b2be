"""moto's queue, without the looks at all of its messages that each call takes: ten thousand of them take minutes so.

What a reader sees is what moto has: the same messages in the same order, hidden while they are handled.
"""

import uuid

from moto.core.utils import unix_time, unix_time_millis
from moto.sqs.exceptions import ReceiptHandleIsInvalid
from moto.sqs.models import Message, Queue, SQSBackend

# SQS gives so many messages at a time.
_AT_ONCE = 10


def mend():
    Queue.messages = property(_messages)
    Queue.delete_message = _delete
    SQSBackend.is_message_valid_based_on_retention_period = _is_kept


def put(queue, bodies):
    """Puts messages on the queue and tells how many."""
    for body in bodies:
        message = Message(str(uuid.uuid4()), body, None)
        message.mark_sent()
        queue.add_message(message)
    return len(bodies)


def length(queue):
    """How many messages wait, and how many are being handled."""
    now = unix_time_millis()
    handled = sum(1 for message in queue._messages if message.visible_at >= now)
    return {"waiting": len(queue._messages) - handled, "handled": handled}


def _messages(queue):
    """As many of those that wait as anybody gets."""
    now = unix_time_millis()
    found = []
    for message in queue._messages:
        if message.visible_at < now and message.delayed_until <= now:
            found.append(message)
            if len(found) == _AT_ONCE:
                break
    return found


def _is_kept(backend, name, message):
    kept = int(backend.queues[name].message_retention_period)
    return message.sent_timestamp / 1000 + kept > unix_time()


def _delete(queue, receipt):
    if receipt in queue.deleted_messages:
        return
    # Those that are being handled are the oldest.
    for at, message in enumerate(queue._messages):
        if message.had_receipt_handle(receipt):
            queue.pending_messages.discard(message)
            queue.deleted_messages.update(message.all_receipt_handles)
            del queue._messages[at]
            return
    raise ReceiptHandleIsInvalid()
