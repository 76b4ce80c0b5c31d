"""A small order business that really fails, for the demo and for tests.

    orders.py      what an order is, the shop's accounts and its catalogue
    dependency.py  the payment and warehouse service that orders need; its state changes at run time
    consume.py     the consumer: takes orders from queues, calls the dependency, retries by visibility, logs, counts
    produce.py     puts orders into a queue: a command, and a small HTTP endpoint
    shop.py        starts all of it against a simulated AWS, and looks at what became of the orders
    recorded.py    dead letters of the origins that are not SQS: Lambda, EventBridge, Scheduler, SNS ...

An order never says what will happen to it. That comes from the state of the dependency when the order is consumed, so
the same order that failed at noon succeeds once the dependency has recovered.
"""
