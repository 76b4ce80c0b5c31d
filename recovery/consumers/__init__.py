"""The consumers of a queue as AWS knows them: Lambda functions, by the queue's event source mappings."""

from recovery.consumers.gateway import Consumers
from recovery.consumers.models import Consumer, Function, Load

__all__ = ["Consumer", "Consumers", "Function", "Load"]
