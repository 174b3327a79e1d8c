/**
 * Fair circles: can a fair execution of a kernel go round for ever, and in which states?
 *
 * What fairness means for a kernel, as constraints for the search in streett.ts: whoever is owed a turn, or whose time
 * has come, all the way round takes one (weak); a thread that is offered a lock again and again takes a step
 * (strong: locks hand over); an instruction that goes some other way again and again goes its tamest way too (weather
 * passes). Each circle is then walked as one real loop and handed to the independent checker in ../lasso.ts.
 */
import { parseWord, word } from '../../model/case.ts';
import type { Fact, KernelState, Machine } from '../../model/machine.ts';
import { isPromised } from '../../model/objects/fence.ts';
import { fairness, getsSomethingDone, underWay } from '../lasso.ts';
import type { Circle } from '../property.ts';
import { type Claim, claimed, edgesOf, everyState, onCircles } from './constraints.ts';
import type { Graph as AnyGraph } from './explore.ts';
import { fairLoop, oneMinimal } from './fair-loop.ts';
import type { Turn, Way } from './learned.ts';
import { type Component, Streett, bitset, membersOf } from './streett.ts';

type Graph = AnyGraph<KernelState, Fact>;

export interface FairCircle {
  readonly circle: Circle;
  readonly stem: readonly string[];
  readonly loop: readonly string[];
  /** Which fairness constraints the loop meets, and how. */
  readonly how: readonly string[];
  /** Leaving out any single word breaks the loop; false when it is too long to try all. */
  readonly minimal: boolean;
}

/** Words played to make one loop minimal: a second or so. */
const MOST_WORDS_PLAYED = 100_000;

/**
 * One fair circle for everything that could be complained about, shortest stem first: for every thread, one in which
 * it is under way, could move and gets nothing done; for every fence, one in which it stays published and pending.
 */
export function fairCircles(machine: Machine, graph: Graph, patient = true): FairCircle[] {
  const edges = edgesOf(graph);
  const cyclic = onCircles(edges, everyState(graph));
  if (cyclic.length === 0) return [];
  const { learned, store, way } = graph;
  const { threads, packing } = learned;
  const always = [...turns(threads, ({ owed, time }) => owed || time), ...handovers(threads), ...weather(way)];
  const marks = claimed(graph, [...always, ...couldMove(threads), ...moves(threads)], cyclic);
  const streett = new Streett(edges, marks);
  const active = (...more: readonly number[]): Int32Array => bitset(marks, [...always.keys(), ...more]);
  // A fair circle of some kind lies in a fair component of any kind: whoever complains need not look elsewhere.
  const fair = membersOf(streett.fair(cyclic, { active: active() }));
  if (fair.length === 0) return [];

  const circles: FairCircle[] = [];
  const search = { machine, graph, patient, streett };
  threads.forEach((thread, at) => {
    const banned = Uint8Array.from(way, ({ threadAt, facts }) => Number(threadAt === at && getsSomethingDone(facts)));
    const working = fair.filter((state) => underWay(learned.turn(at, store.words, state * packing.width).open));
    const offered = active(always.length + at);
    const component = nearestOf(streett.fair(working, { banned, active: offered }));
    if (!component) return;
    // Where it can, the thread does take steps: it works and works, and nothing comes of it.
    const works = movesIn(search, component, at);
    const must = works ? active(always.length + at, always.length + threads.length + at) : offered;
    circles.push(
      lasso(search, component, must, ({ fruitless }, words) => {
        return fruitless.includes(thread) && (!works || words.some((text) => parseWord(text).thread === thread));
      }),
    );
  });
  for (const fence of Object.keys(machine.boot.fences)) {
    const promised = learned.learner(`is ${fence} pending`, (kernel) => isPromised(kernel, fence));
    const states = fair.filter((state) => promised.of(store.words, state * packing.width));
    const component = nearestOf(streett.fair(states, { active: active() }));
    if (component) circles.push(lasso(search, component, active(), ({ pending }) => pending.includes(fence)));
  }
  return circles.sort((a, b) => a.stem.length - b.stem.length || a.loop.length - b.loop.length);
}

/**
 * A thread whose time never comes because others go round without it: in patient time such a circle hides what the
 * timer would do, so a search that met one was not exhaustive. The circle is fair, but for time; one that is not ends by
 * itself, and then the time comes.
 */
export function heldBack(graph: Graph): string | undefined {
  const { learned, store, way } = graph;
  const { threads, packing } = learned;
  const edges = edgesOf(graph);
  const cyclic = onCircles(edges, everyState(graph));
  if (cyclic.length === 0) return undefined;
  const claims = [...turns(threads, ({ owed }) => owed), ...handovers(threads), ...weather(way)];
  const streett = new Streett(edges, claimed(graph, claims, cyclic));
  const turnAt = (state: number, thread: number) => learned.turn(thread, store.words, state * packing.width);
  // Where nobody owes a turn the time can come, and the search has seen it come.
  const busy = cyclic.filter((state) => threads.some((_, thread) => turnAt(state, thread).owed));
  return threads.find((_, thread) => {
    const due = busy.filter((state) => turnAt(state, thread).time);
    return due.length > 0 && streett.fair(due).length > 0;
  });
}

type Claims = Claim<Fact>[];
/** Whoever has a turn to claim all the way round takes a step. */
const turns = (threads: readonly string[], claims: (turn: Turn) => boolean): Claims =>
  threads.map((name, thread) => ({
    name: `${name} could always move`,
    strength: 'weak',
    enabledAt: (turn, at) => at === thread && claims(turn),
    takenBy: ({ threadAt }) => threadAt === thread,
  }));
/** Whoever is offered a lock again and again takes a step. */
const handovers = (threads: readonly string[]): Claims =>
  threads.map((name, thread) => ({
    name: `${name} is offered a lock`,
    strength: 'strong',
    enabledAt: ({ open }, at) => at === thread && open.kind === 'ready' && open.strong && open.nature === 'owed',
    takenBy: ({ threadAt }) => threadAt === thread,
  }));
/** An instruction that goes some other way goes its tamest way too. */
function weather(ways: readonly Way[]): Claims {
  const lines = new Set(ways.flatMap(({ nature, tamest, line }) => (nature === 'owed' && !tamest ? [line] : [])));
  return [...lines].map((line) => ({
    name: `${line} goes its tamest way`,
    strength: 'strong',
    enabledBy: (way) => way.line === line && way.nature === 'owed' && !way.tamest,
    takenBy: (way) => way.line === line && way.nature === 'owed' && way.tamest,
  }));
}
/** Somewhere on the circle the thread could move: only then is it the thread that gets nothing done. */
const couldMove = (threads: readonly string[]): Claims =>
  threads.map((name, thread) => ({
    name: `${name} could move`,
    strength: 'weak',
    enabledAt: () => true,
    takenAt: ({ open }, at) => at === thread && open.kind === 'ready' && open.nature === 'owed',
  }));

/** The thread takes a step on the circle. */
const moves = (threads: readonly string[]): Claims =>
  threads.map((name, thread) => ({
    name: `${name} moves`,
    strength: 'weak',
    enabledAt: () => true,
    takenBy: ({ threadAt }) => threadAt === thread,
  }));

const nearestOf = (components: readonly Component[]): Component | undefined =>
  components.reduce<Component | undefined>(
    (best, each) => (best === undefined || each.nearest < best.nearest ? each : best),
    undefined,
  );

/** What a circle is looked for in. */
interface Search {
  readonly machine: Machine;
  readonly graph: Graph;
  readonly patient: boolean;
  readonly streett: Streett;
}
function movesIn({ graph, streett }: Search, component: Component, thread: number): boolean {
  const { first, way, wayOf } = graph;
  for (const state of component.members)
    for (let edge = first[state] as number; edge < (first[state + 1] as number); edge += 1)
      if (way[wayOf[edge] as number]?.threadAt === thread && streett.inside(edge, component)) return true;
  return false;
}

/** Shortest stem to the component, a loop that meets every constraint, and then no word in it that it can do without. */
function lasso(
  { machine, graph, patient, streett }: Search,
  component: Component,
  must: Int32Array,
  accused: (circle: Circle, words: readonly string[]) => boolean,
): FairCircle {
  const { learned, store, way, wayOf } = graph;
  const start = component.nearest;
  const kernel = learned.packing.unpack<KernelState>(store.words, start * learned.packing.width);
  const words = fairLoop(streett, component, must).map((edge) => word(way[wayOf[edge] as number] as Way));
  const found = fairness(machine, kernel, words, patient);
  if (!found.fair) throw new Error(`the search found a fair circle that its checker denies: ${found.why}`);
  if (!accused(found.circle, words)) throw new Error('the search found a fair circle that accuses somebody else');
  const { words: loop, minimal } = oneMinimal(
    words,
    (shorter) => {
      const checked = fairness(machine, kernel, shorter, patient);
      return checked.fair && accused(checked.circle, shorter);
    },
    MOST_WORDS_PLAYED,
  );
  const checked = fairness(machine, kernel, loop, patient);
  if (!checked.fair) throw new Error(`a loop was shortened too far: ${checked.why}`);
  return { circle: checked.circle, stem: graph.schedule(start), loop, how: checked.how, minimal };
}
