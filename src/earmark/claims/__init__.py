"""Claims that anyone can check: what was fixed when, and what was released when.

``signed_data``     the signature inside a time-stamp token
``certificates``    which certificates a checker trusts, and how a signer's leads to them
``timestamps``      RFC 3161: what an authority's token shows, and what not
``key_stamps``      stamps over a verification key
``order``           which came first, where the clocks can tell
``opened_set``      triggers opened one by one, in the order asked
``claim``           what an owner signs of an opened set
``checking``        a stranger's steps, without the owner
``asking_again``    the same questions, put by the stranger
``comparing``       two claimants of one model
``cut_and_choose``  half of a key with chosen labels, opened
``release_record``  the owner's signed statement of which model he released under which key
"""
