"""Flow runs start in a forked child of a process that has loaded everything already.

Starting Python and importing Prefect, boto3 and the project is most of the time from an event to a run's first call,
and nearly all of what a run costs. `reprise worker` therefore starts one process that loads it once (`__main__`,
`forks`). The pool's command stays a process of Prefect's stock worker: it hands its environment, folder, limits and
standard streams over (`hand_over`), a child carries the run out, and the process ends as the child ends. So whoever
watches, stops or kills the worker's process does it to the run:

- signals that ask for an end are passed on; when the process is killed, its child is;
- the exit status is the child's, and a child that a signal killed lets its process die of the same signal;
- a child never outlives the process that forked it, and none is forked after a file of the project changed. A change of
  packages is not seen: they are changed while the worker is stopped.

Where nobody serves (another worker, ECS, a person's own command, macOS) a run is loaded and carried out as always.
"""
