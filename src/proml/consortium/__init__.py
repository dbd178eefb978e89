"""A network of existing Ethereum clients, one per participant, that needs no third party to set up.

    plan = read_plan(Path("study.toml"))          # who takes part, where; the same for everybody
    written = write_folder(plan, "clinic", into)  # what this participant's client needs
    start(into)

Each participant makes its keys on its own machine (:mod:`.keys`) and hands out a public file. From the plan and
everybody's public files each writes its own folder (:mod:`.folder`): the same genesis everywhere, whoever writes it.
What differs between clients is in :mod:`.engines`; :mod:`.client` runs the client of one folder. Consensus is the
clients' own: nothing here implements any.
"""
