"""Pages for people, and the same facts for programs.

``wording``         chances, bits and foreign names in words
``explanation``     the nine steps in sentences: for ``--explain`` and for the page
``summary``         the verdict for programs: for ``--json``
``scale``           matches from 0 to n as a drawing
``exhibits``        triggers as they are shown to a person
``verdict_report``  the printable page: for ``--report``
"""
