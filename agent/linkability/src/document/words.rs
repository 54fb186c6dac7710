//! What stands around the numbers.

pub(crate) const BEGIN: &str = "\
# Privacy, measured

Written by `make privacy` (`LARGEST=1000` for a larger crowd, `FULL=1` for all of them). Simulated agents run the real gate, session, schedule, batch, spool
and request; only time and Tor are replaced. Attackers get everything that an ingest side ever sees, and say of each session which
one before it was the same agent's. Every draw follows from the seeds below, so that the same code gives the same figures on any machine.

The machines are made up: each has loads of its own (log-normal, so that some have ten times what most have), days and nights in its own time zone,
restarts and failures of its own, and outages that it shares with others; of 20 machines 11 run day and night, 6 are off at night, and 3
are restarted often. Yours are different: `undertone score --schema FILE --trace FILE` measures a sample of your data the same way.

In short:

- **Without the numbers**, by order, times, phases, counts, ages, circuits and sizes, nothing beats what the silences alone give away. That
  depends on the size of the crowd: some 6 of 100 sessions among 100 agents, 2 among 300.
- **With the numbers** most sessions of machines with a load of their own are paired, at any rounding that leaves numbers of use. A session then hides
  a name, not a habit: who sees the database sees long histories of nameless machines.
- **What buys much is a scope of `batch`**: an hour's numbers say little of who measured them. What else helps is to measure less, or what is alike on all machines:
  `undertone score` names the measurements.
- **Digits and buckets buy next to nothing** against who averages over hours: they hide single odd values, not habits.
";

pub(crate) const METADATA: &str = "\
## Without values

The attackers know the agents' code, and learn from one half of the agents what the other half is then judged by. \"Formula\" is that of
invariant P3, (1 − e^(−λW)) / (λW), with W = 1 h and λ the sessions that begin in an hour of this run: for who pairs each session on its own.
\"No program\" is the best that times alone reach on the same machines, also for all pairs together, where lives, silences and send times are drawn and no
agent runs. \"Chance\" is one in the sessions of the run.

Limits: below 1,000 agents, the best attacker is at most 0.5 points over the formula, or over \"no program\" where that is more; from there on, the upper end of its
interval is at most 2.5 points over chance. To pair less is no leak: a machine that is off at night leaves no end near its next beginning. That the attackers
can do what they should is held elsewhere: of machines that never stop, who weighs each gap must pair what the formula says, and each leak below must be found.
";

pub(crate) const DESIGN: &str = "\
## What the design gives away

Machines that never stop, drawn from the distributions of P3 and P5 without any program. The formula is for who pairs each session on its own. **Who pairs all
of them together does better**: an end that another session needs is none for this one. That is what silences of an hour can't hide in a
small crowd, and it is no fault of the code; restarts and nights make it less, as the table above shows.
The latest end alone does worse than the formula, since a session's last parcel comes before its end, and its first after its beginning.
Limit: from 100 agents on, \"gap\" within 0.5 points of the formula, either way. It shows that the attackers above are no weak ones.
";

pub(crate) const VALUES: &str = "\
## With values

No limit: a device with an unusual load looks unusual, and no session can change that. \"Times alone\" is the same attacker without numbers.
In \"8 buckets\" and 2 digits numbers leave as they do when a schema says nothing. With scope `batch` there is one reading of each instrument in about an hour.
";

pub(crate) const CONTROLS: &str = "\
## Leaks that were put in

Would it be seen if something leaked? Faults are put into some of the agents of the first crowd above, and the attackers try again: what they reached without → with it.
A leak is found (bold) where an attacker is more than 4.09 standard errors above its own score without the leak; by chance that
happens once in a hundred runs, all attackers, leaks and strengths taken together.
";

pub(crate) const END: &str = "\
## What isn't measured

Tor's own latency and the agent's network: who watches both ends of Tor sees more. What an attacker knows from elsewhere, such as when a certain machine was off.
Sessions further apart than the attackers look (3 h without values, 14 h with them, 4 h with scope `batch`). Attackers better than these.
";
