/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two quotas of bpf/quota.h, a rule's and its session's, as a model: packets on
 * as many CPUs, some of the rule and some of another one, every access to memory
 * a step of its own; and the agent, which grants more meanwhile.
 *
 * Proved over all orders of steps: of neither more passes than was granted; in the end each
 * has what passed and nothing else; and no packet that was held up marks a grant as used
 * up of which it has not seen the limit.
 *
 * What was paid is what the agent reads, with what a packet that the session refuses has
 * added to the rule's and is about to take back: `most` says so. It is a packet for each
 * other CPU at most.
 *
 * What is not the code's way, to see the proof fail:
 *   -DLOOK_THEN_ADD  whether it fits is read, then added
 *   -DKEEP           what was added below a refusal stays
 *   -DLIMIT_FIRST    the limit is read before the state
 *   -DBLIND          marked whatever has been granted since
 */
#ifndef PACKETS
#define PACKETS 3
#endif
#define MOST	2 /* bytes of a packet */
#define GRANTED 2 /* at first, and by the agent */

#define RULE	0
#define SESSION 1

byte used[2], limit[2], passed[2];
byte most[2];	     /* the highest limit there has been: a grant may be of less than is left */
byte grant[2];	     /* the number in `state` */
bool exhausted[2];   /* its flag */
byte limit_of[4];    /* of the grants of each: 2 * quota + number */
byte running = PACKETS;

/* quota_use_up */
inline use_up(n)
{
#ifdef LIMIT_FIRST
	sum = limit[n];
	seen = grant[n];
#else
	seen = grant[n];
	sum = limit[n];
#endif
	if
	:: used[n] + size <= sum
	:: else ->
		atomic {
			if
#ifdef BLIND
			:: true ->
#else
			:: grant[n] == seen ->
#endif
				exhausted[n] = true;
				/* or it is about to be cleared */
				assert(sum >= limit_of[2 * n + grant[n]] || sum == limit_of[2 * n + 1])
#ifndef BLIND
			:: else
#endif
			fi
		}
	fi;
	sum = 0;
	seen = 0
}

inline pass()
{
	d_step {
		passed[SESSION] = passed[SESSION] + size;
		assert(passed[SESSION] <= most[SESSION]);
		if
		:: of_rule ->
			passed[RULE] = passed[RULE] + size;
			assert(passed[RULE] <= most[RULE])
		:: else
		fi
	}
}

/* quota_charge of one: `fits` */
inline charge(n)
{
#ifdef LOOK_THEN_ADD
	before = used[n];
	fits = before + size <= limit[n];
	if
	:: fits -> atomic { used[n] = used[n] + size }
	:: else -> use_up(n)
	fi;
#else
	atomic {
		before = used[n];
		used[n] = used[n] + size
	}
	fits = before + size <= limit[n];
	if
	:: fits
	:: else ->
		used[n] = used[n] - size;
		use_up(n)
	fi;
#endif
	before = 0
}

proctype packet(byte size; bool of_rule)
{
	byte before, sum, seen;
	bool fits = true;

	/* quota_look */
	if
	:: of_rule ->
		fits = !exhausted[RULE];
		if
		:: fits && used[RULE] + size > limit[RULE] -> use_up(RULE); fits = false
		:: else
		fi
	:: else
	fi;
	if
	:: fits -> fits = !exhausted[SESSION]
	:: else
	fi;
	if
	:: fits && of_rule -> charge(RULE)
	:: else
	fi;
	if
	:: fits ->
		charge(SESSION);
		if
		:: fits -> pass()
		:: !fits && of_rule ->
#ifndef KEEP
			used[RULE] = used[RULE] - size
#else
			skip
#endif
		:: else
		fi
	:: else
	fi;
	d_step {
		running--;
		fits = false
	}
}

/* sl_quota_grant: the limit, then the state */
proctype agent(byte n)
{
	byte now;

	d_step {
		now = (used[n] < limit[n] -> used[n] : limit[n]);
		limit_of[2 * n + 1] = now + GRANTED;
		most[n] = (most[n] > now + GRANTED -> most[n] : now + GRANTED)
	}
	limit[n] = limit_of[2 * n + 1];
	atomic {
		grant[n] = 1;
		exhausted[n] = false
	}
}

init {
	byte i, size;

	atomic {
		limit[RULE] = GRANTED;
		select(size : GRANTED .. GRANTED + 2);
		limit[SESSION] = size;
		most[RULE] = limit[RULE];
		most[SESSION] = limit[SESSION];
		limit_of[0] = limit[RULE];
		limit_of[2] = limit[SESSION];
		size = 1;
		for (i : 1 .. PACKETS) {
			select(size : size .. MOST);
			if
			:: run packet(size, true)
			:: run packet(size, false)
			fi
		}
		if
		:: run agent(RULE)
		:: run agent(SESSION)
		fi
	}
	running == 0;
	assert(used[RULE] == passed[RULE] && used[SESSION] == passed[SESSION])
}
