/**
 * The argument: the verdict as a proof that can be checked by hand, in the form of Elle's verdicts.
 *
 * "Let A = …, B = …. A waits for B, because B has yet to signal f. However, B waits for A, because A holds bo: nobody
 * can go on." It is made from the debts alone, so it says nothing that the replay did not show.
 */
import type { Blame, Link } from '../properties/property.ts';
import { type Standing, type Step, type Telling, stepsOf } from './telling.ts';

/** A letter for a thread, and what there is to know about it. */
export interface Let {
  readonly letter: string;
  readonly who: string;
  readonly where: string;
}
export interface Argument {
  readonly lets: readonly Let[];
  readonly sentences: readonly string[];
}

/** Why the blame is right; nothing when the telling breaks nothing. */
export function argument(telling: Telling): Argument | undefined {
  const { blame, judgedBy } = telling;
  switch (judgedBy) {
    case null:
      return undefined;
    case 'orders':
      return argueOrders(telling, blame as Blame);
    case 'circle':
      return argueCircle(telling, blame as Blame);
    case 'step':
      return argueStep(telling, blame as Blame);
    case 'waits':
      return argueDebts(telling, blame as Blame);
    case 'rest':
      return argueRest(telling, blame as Blame);
  }
}

const letterOf = (at: number): string => (at < 26 ? String.fromCharCode(65 + at) : `T${at + 1}`);
/** Clauses as sentences. A sentence may begin with a name of the kernel's: those are not written with a capital. */
const sentences = (clauses: readonly string[]): string => clauses.map((each) => `${each}.`).join(' ');
const listed = (names: readonly string[], and = 'and'): string =>
  names.length < 2 ? names.join('') : `${names.slice(0, -1).join(', ')} ${and} ${names.at(-1)}`;

/** Threads that act in a reason, replaced by their letters: "B holds b", but not an object that is called like a thread. */
function lettered(text: string, letters: ReadonlyMap<string, string>): string {
  const names = [...letters.keys()].sort((a, b) => b.length - a.length).map((each) => each.replace(/[^\w]/g, '\\$&'));
  if (names.length === 0) return text;
  const whole = new RegExp(`(?<=^|, |and |or |left to )(?:${names.join('|')})(?![\\w/-]|\\.\\w)`, 'g');
  return text.replace(whole, (name) => letters.get(name) ?? name);
}

const standingIn = (telling: Telling, thread: string): Standing | undefined =>
  telling.final.find((each) => each.thread === thread);

/** "since step 4 at mutex_lock(&b) ← shrink_slab ← ioctl, holding a" */
function whereabouts(telling: Telling, thread: string): string {
  const standing = standingIn(telling, thread);
  if (!standing) return '';
  const { line, stack, held, state } = standing;
  const callers = stack.filter((routine) => routine !== thread);
  const at =
    state === 'finished' ? 'has returned' : `${state === 'idle' ? 'idle ' : ''}at ${[line, ...callers].join(' ← ')}`;
  const since = state === 'blocked' ? blockedSince(telling, thread) : undefined;
  const holding = held.filter((each) => each.kind === 'lock').map(({ object }) => object);
  return [
    since === undefined ? '' : since === 0 ? 'from the start ' : `since step ${since} `,
    at,
    holding.length > 0 ? `, holding ${listed(holding)}` : '',
  ].join('');
}
/** The step after which this thread was blocked and stayed so. */
function blockedSince(telling: Telling, thread: string): number | undefined {
  let since: number | undefined = telling.blockedAtBoot.some((each) => each.thread === thread) ? 0 : undefined;
  for (const { number, blocked } of stepsOf(telling)) {
    const now = blocked.find((each) => each.thread === thread);
    if (!now) since = undefined;
    else if (now.newly || since === undefined) since = number;
  }
  return since;
}

/** The links, and for whoever would be served by any one of several debtors the links of the others too. */
function closure(telling: Telling, links: readonly Link[]): Link[] {
  const all = [...links];
  for (const { wait } of all)
    for (const debtor of wait.any ? wait.owedBy : []) {
      const standing = standingIn(telling, debtor);
      if (standing?.state === 'blocked' && standing.wait && !all.some(({ who }) => who === debtor))
        all.push({ who: debtor, wait: standing.wait });
    }
  return all;
}

function letsFor(telling: Telling, links: readonly Link[]): { lets: Let[]; letters: Map<string, string> } {
  const lets = links.map(({ who }, at) => {
    const kind = standingIn(telling, who)?.kind ?? 'kernel';
    return {
      letter: letterOf(at),
      who: kind === 'kernel' ? who : `${who} (${kind})`,
      where: whereabouts(telling, who),
    };
  });
  return { lets, letters: new Map(links.map(({ who }, at) => [who, letterOf(at)])) };
}

const mayEnd = ({ wait }: Link): string => {
  if (wait.interruptible !== undefined) return ' (a signal to the process would end the wait, but nobody owes it one)';
  return wait.killable === undefined ? '' : ' (killing the process would end the wait, but nobody owes it that)';
};

/** One debt as a clause: "A waits for B, because B holds b". */
function debt(link: Link, next: string | undefined, letters: ReadonlyMap<string, string>): string {
  const me = letters.get(link.who) ?? link.who;
  const names = link.wait.owedBy.map((debtor) => letters.get(debtor) ?? debtor);
  const whom = link.wait.any ? listed(names, 'or') : (letters.get(next ?? '') ?? next ?? listed(names));
  const because = lettered(link.wait.because, letters);
  return `${me} waits for ${whom === me ? 'itself' : whom}, because ${because}${mayEnd(link)}`;
}

/** The debts one after another; the one that closes the circle is the turn of the argument. */
function clauses(links: readonly Link[], letters: ReadonlyMap<string, string>): string[] {
  return links.map((link, at) => {
    const closing = at === links.length - 1 && link.wait.owedBy.includes(links[0]?.who ?? '');
    const next = closing ? links[0]?.who : (links[at + 1]?.who ?? link.wait.owedBy[0]);
    return closing && links.length > 1 ? `However, ${debt(link, next, letters)}` : debt(link, next, letters);
  });
}

function argueDebts(telling: Telling, blame: Blame): Argument {
  const { links } = blame;
  const all = closure(telling, links);
  const { lets, letters } = letsFor(telling, all);
  const circle = clauses(links, letters);
  const last = `${circle.at(-1)}: ${links.length > 1 ? 'nobody can go on' : `${letters.get(links[0]?.who ?? '')} can never go on`}`;
  const others = all.slice(links.length).map((link) => debt(link, link.wait.owedBy[0], letters));
  return {
    lets,
    sentences: [sentences([...circle.slice(0, -1), ...others, last]), ...consequences(telling, letters)],
  };
}

/** Who hangs with the circle, and which published fences never signal because of it. */
function consequences(telling: Telling, letters: ReadonlyMap<string, string>): string[] {
  const victims = telling.final
    .filter(({ thread }) => telling.hanging.includes(thread) && !letters.has(thread))
    .map(
      ({ thread, wait }) =>
        `${thread} hangs with ${letters.size === 1 ? 'it' : 'them'}, because ${lettered(wait?.because ?? '', letters)}`,
    );
  const lost = telling.promises.filter(({ owed }) => telling.hanging.includes(owed.at(-1)?.by ?? ''));
  const owing = [...new Set(lost.map(({ owed }) => owed.at(-1)?.by ?? ''))];
  const never = owing.map((by) => {
    const fences = lost.filter(({ owed }) => owed.at(-1)?.by === by).map(({ fence }) => fence);
    return `${listed(fences)}, which ${letters.get(by) ?? by} owes, can never signal`;
  });
  const all = [...victims, ...never];
  return all.length > 0 ? [sentences(all)] : [];
}

function argueRest(telling: Telling, blame: Blame): Argument {
  const still =
    'Nothing that is owed can happen any more: every kernel thread, ring and timer has ended, waits, or has nothing to do';
  const accused = telling.promises.find(({ fence }) => blame.what.startsWith(`${fence} `));
  if (!accused) return { lets: [], sentences: [sentences([still]), sentences([blame.what])] };
  const { lets, letters } = letsFor(telling, blame.links);
  const { fence, since, owed } = accused;
  const by = owed.at(-1)?.by ?? null;
  const owner = by === null ? undefined : (letters.get(by) ?? by);
  const passed = owed.map(
    (each) => `${each.by === null ? 'nobody' : (letters.get(each.by) ?? each.by)} (step ${each.from})`,
  );
  const waiting = telling.final.filter(
    ({ state, wait }) => state === 'blocked' && wait?.on === 'fence' && wait.object.split(' + ').includes(fence),
  );
  const waiters = waiting.map(({ thread }) => letters.get(thread) ?? thread).sort();
  const hangs =
    waiters.length === 0
      ? ''
      : `, and ${listed(waiters)}, which ${waiters.length === 1 ? 'waits' : 'wait'} for it, with it`;
  const promise = [
    `${fence} can be seen by others since ${stepNamed(telling, since)}, so it must signal in finite time`,
    owed.length > 1
      ? `The promise went ${passed.map((each, at) => (at === 0 ? `from ${each}` : `to ${each}`)).join(' ')}`
      : '',
    owner === undefined ? 'nobody is left who owes it' : `${owner} owes it`,
  ].filter((each) => each !== '');
  return {
    lets,
    sentences: [
      sentences(promise),
      ...(blame.links.length > 0 ? [sentences(whyNot(telling, fence, blame.links, letters))] : []),
      ...(blame.links.length === 0 && by !== null ? [sentences([`${by} ${whyIdle(telling, by)}`])] : []),
      sentences([still, `So ${fence} stays unsignalled for ever${hangs}`]),
    ],
  };
}

/** "step 2, fd_install(sync_file_create(job))" */
function stepNamed(telling: Telling, number: number): string {
  const step = stepsOf(telling).find((each) => each.number === number);
  return step ? `step ${number}, ${step.line}` : 'the start';
}
/** Why the debtor of a fence does not act: debt by debt to somebody who waits for nobody. */
function whyNot(
  telling: Telling,
  fence: string,
  links: readonly Link[],
  letters: ReadonlyMap<string, string>,
): string[] {
  const last = links.at(-1) as Link;
  const me = letters.get(last.who) ?? last.who;
  const because = lettered(last.wait.because, letters);
  const moved = stepsOf(telling).findLast(({ thread }) => thread === last.who);
  const history = moved
    ? `It went as far as step ${moved.number}, ${moved.line}, and did not signal ${fence}`
    : 'It never took a step';
  const ends = last.wait.owedBy.some((debtor) => letters.has(debtor));
  const debts = clauses(links, letters);
  if (ends)
    return [...debts.slice(0, -1), `${debts.at(-1)}: ${links.length > 1 ? 'nobody can' : `${me} can never`} go on`];
  const before = debts.slice(0, -1);
  if (last.wait.idle) return [...before, `${me} has nothing to do, because ${because}`, history];
  const [debtor] = last.wait.owedBy;
  return debtor === undefined
    ? [...before, `${me} cannot go on, because ${because}, and nobody is there to change that`, history]
    : [...before, debts.at(-1) as string, `${debtor} ${whyIdle(telling, debtor)}`];
}
function whyIdle(telling: Telling, thread: string): string {
  const standing = standingIn(telling, thread);
  if (standing?.kind === 'user') return 'is user space, which owes nobody anything';
  switch (standing?.state) {
    case 'finished':
      return 'has returned';
    case 'idle':
    case 'blocked':
      return `cannot act, because ${standing.wait?.because ?? 'it waits'}`;
    case 'running':
    case undefined:
      return 'may act, but owes nobody a turn';
  }
}

function argueCircle(telling: Telling, blame: Blame): Argument {
  const round = stepsOf(telling).filter(({ loop }) => loop);
  const [first, last] = [round[0]?.number ?? 0, round.at(-1)?.number ?? 0];
  const groups = new Map<string, string[]>();
  for (const text of telling.fair) {
    const name = telling.threads.map((each) => each.name).find((each) => text.startsWith(`${each} `)) ?? '';
    const how = text.slice(name.length + 1);
    groups.set(how, [...(groups.get(how) ?? []), name]);
  }
  const fair = [...groups].map(([how, names]) => `${names.join(', ')} (each ${how})`);
  const steps = first === last ? `Step ${first} leads` : `Steps ${first} to ${last} lead`;
  return {
    lets: [],
    sentences: [
      sentences([`${steps} back to the very state before step ${first}, so they can be repeated for ever`]),
      sentences([`Fairness does not end it. On the way round: ${fair.join('; ')}`]),
      sentences([blame.what]),
    ],
  };
}

function argueStep(telling: Telling, blame: Blame): Argument {
  const last = stepsOf(telling).at(-1) as Step;
  const callers = last.stack.filter((routine) => routine !== last.thread);
  const where = callers.length > 0 ? `, called from ${callers.join(' ← ')}` : '';
  const owes = telling.promises.filter(
    ({ fence, owed }) => owed.at(-1)?.by === last.thread && blame.what.split(/[ ,:;]+/).includes(fence),
  );
  const promises = owes.map(
    ({ fence, since }) => `Others can see ${fence} since step ${since}, and now it is ${last.thread} that owes it`,
  );
  return {
    lets: [],
    sentences: [
      sentences([`In step ${last.number}, ${last.thread} executes ${last.line}${where}`, ...promises]),
      sentences([blame.what]),
    ],
  };
}

/** Classes that stand for a promise rather than for a lock. */
const FENCE = 'fence ';
const has = (name: string): string => (name.startsWith(FENCE) ? `owes ${name}` : `holds ${name}`);
const wants = (name: string): string => (name.startsWith(FENCE) ? `waits for ${name}` : `wants ${name}`);

/** Where an order was seen: the line, and in other words when those name more than the classes do. */
function occasion(from: string, { object, because }: Link['wait'], origin: Step | undefined): string {
  if (!origin) return ` (${because})`;
  const callers = origin.stack.filter((routine) => routine !== origin.thread);
  const says = [from, object].every((name) => because.includes(name.replace(FENCE, '')));
  const more = says ? '' : ` (${because})`;
  return `, as in step ${origin.number} at ${[origin.line, ...callers].join(' ← ')}${more}`;
}

/** The orders as a circle of threads that may meet: each has what the one before it wants. */
function argueOrders(telling: Telling, { links }: Blame): Argument {
  const origins = links.map(({ who, wait }) =>
    stepsOf(telling).find(({ evidence }) => evidence.some(({ from, to }) => from === who && to === wait.object)),
  );
  const lets = links.map(({ who, wait }, at) => {
    const origin = origins[at];
    const again = origin && origins.slice(0, at).some((each) => each?.thread === origin.thread);
    const name = origin ? `${again ? 'another ' : ''}${origin.thread}` : 'anybody';
    return {
      letter: letterOf(at),
      who: name,
      where: `${has(who)} and ${wants(wait.object)}${occasion(who, wait, origin)}`,
    };
  });
  const closing = links.length - 1;
  const text = links.map((link, at) => {
    const me = letterOf(at);
    const next = letterOf((at + 1) % links.length);
    const other = next === me ? 'another such thread' : next;
    const clause = `${me} waits for ${other}, because ${next === me ? 'it' : next} ${has(link.wait.object)}`;
    return at === closing ? `${links.length > 1 ? 'However, ' : ''}${clause}: nobody can go on` : clause;
  });
  const apart = telling.steps.some((each) => each.kind === 'reboot');
  const quiet = stepsOf(telling).some((each) => each.blocked.length > 0) ? '' : ', and nobody was blocked';
  const seen = `${links.length === 1 ? 'This order was' : 'These orders were'} seen in ${apart ? 'separate runs' : 'one run, one after another'}${quiet}`;
  const they = links.length === 1 ? 'two such threads' : 'they';
  const rule = apart ? 'An order of locks has to hold over all runs together: suppose' : 'Suppose';
  return { lets, sentences: [sentences([seen, `${rule} that ${they} meet`]), sentences(text)] };
}
