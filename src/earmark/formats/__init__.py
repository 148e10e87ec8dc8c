"""Files on disk: one module per kind and version; the pages in docs/formats say what they hold.

``envelope``             encryption under a passphrase, for files that hold secrets
``verification_key_v1``  acme.vk.json, public
``marking_key_v1``       acme.key, secret
``owner_key_v1``         the owner's signing key, secret
``journal_v1``           acme.journal in use: locked, appended to, synced
``journal_lines_v1``     its lines, their chain, and what may follow what
``signed_proof_v1``      ownership.proof: an argument in zero knowledge, signed by the owner
``answers_v1``           answers.csv: a suspect questioned by hand
``api_record_v1``        acme.api-record in use: what was sent to services, and what came back
``api_record_lines_v1``  its lines, their chain, and what may follow what
``inspection``           what any of these files is, in words
"""
