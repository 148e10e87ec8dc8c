"""Services as suspects: what answers over HTTP.

``terms``           on which terms a service is asked: pace, budget, record, ordinary inputs
``credentials``     from the environment into requests, and out of everything that is written
``transport``       one request, one response: bounded in time and size, no redirects
``asking``          tries, pauses and the record of each
``pictures``        what a picture becomes on the wire
``inputs``          ... and every other kind of input
``paths``           where in a response the answer stands
``reading``         from a response to an answer, or why there is none
``mapping``         a service that a person described (docs/formats/api-mapping-v1.md)
``mapped``          ... as a service
``open_inference``  services of the Open Inference Protocol, version 2
``hugging_face``    services in the style of Hugging Face inference
``suspect``         the suspect itself, and from names to services
"""

from earmark.suspects.http.terms import Terms

__all__ = ["Terms"]
