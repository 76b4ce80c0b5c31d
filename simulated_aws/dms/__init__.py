"""A strict AWS DMS for tests and the demo.

Orders that `POST /_reprise/dms/script` understands, each a JSON object:

    {"replication": NAME, "future": {...}}             fields of `Future`, faults as a list of `Fault` fields
    {"replication": NAME, "lose_position": TEXT}
    {"replication": NAME, "status": STATUS}
    {"endpoint": NAME, "trouble": TEXT, "level": "RECOVERABLE"}      an empty text fixes it
    {"instance": NAME, "status": STATUS}
    {"advance": true}                                  let what is due happen, and its events go out
"""

from simulated_aws.dms.future import Fault, Future
from simulated_aws.dms.simulator import DmsSimulator

__all__ = ["DmsSimulator", "Fault", "Future"]
