/**
 * Streett emptiness: in which parts of a graph can one go round for ever and be fair to everybody?
 *
 * A constraint asks in some states and on some edges, and is answered in some states and on some edges: who asks again
 * and again must be answered again and again. Strong fairness asks where it is enabled; weak fairness asks everywhere,
 * and being disabled is an answer too. A strongly connected component in which somebody asks and is never answered
 * loses the states and edges that ask, and what is left is taken apart again, until every component is fair or gone.
 *
 * All constraints are looked at together, 32 in a word, so a round costs one look at each state and edge. A constraint
 * that was pruned for asks no more in what is left, so no state sees more rounds than there are constraints: at most
 * linear in them, where one search for each set of fulfilled constraints is exponential (Emerson and Lei, Modalities
 * for Model Checking, 1987; Duret-Lutz, Poitrenaud and Couvreur, On-the-fly Emptiness Check of Transition-Based
 * Streett Automata, 2009).
 */

/** A graph of numbered states; the edges of state s stand from `first[s]` to `first[s + 1]`. */
export interface Edges {
  readonly first: Int32Array;
  readonly to: Int32Array;
  /** What sort of step an edge is; constraints tell edges apart by this. */
  readonly label: Int32Array;
  readonly states: number;
  readonly labels: number;
}

type Test = (number: number) => boolean;
/** Who must have turns. The tests are asked about states (`…In`) and about labels of edges (`…By`). */
export type Constraint = {
  readonly name: string;
  readonly takenIn?: Test;
  readonly takenBy?: Test;
} & (
  | { readonly strength: 'weak'; readonly enabledIn: Test }
  | { readonly strength: 'strong'; readonly enabledIn?: Test; readonly enabledBy?: Test }
);

/** Constraints as bitsets, `words` numbers a state or label: who asks there, who is answered there. */
export interface Marks {
  readonly count: number;
  readonly words: number;
  readonly stateAsks: Int32Array;
  readonly stateAnswers: Int32Array;
  readonly labelAsks: Int32Array;
  readonly labelAnswers: Int32Array;
}

/** Nobody asks and nobody is answered yet. */
export function noMarks(count: number, states: number, labels: number): Marks {
  const words = Math.max(1, Math.ceil(count / 32));
  const rows = (of: number): Int32Array => new Int32Array(of * words);
  return {
    count,
    words,
    stateAsks: rows(states),
    stateAnswers: rows(states),
    labelAsks: rows(labels),
    labelAnswers: rows(labels),
  };
}
/** Ask every constraint once about every label, and about every state that a circle can go through. */
export function marked(graph: Edges, constraints: readonly Constraint[], among: Int32Array): Marks {
  const { labels } = graph;
  const marks = noMarks(constraints.length, graph.states, labels);
  const { words } = marks;
  constraints.forEach((constraint, number) => {
    const word = number >> 5;
    const bit = 1 << (number & 31);
    const put = (row: Int32Array, at: number): void => {
      row[at * words + word] = (row[at * words + word] as number) | bit;
    };
    const weak = constraint.strength === 'weak';
    for (const state of among) {
      const enabled = constraint.enabledIn?.(state) === true;
      if (weak || enabled) put(marks.stateAsks, state);
      if ((weak && !enabled) || constraint.takenIn?.(state)) put(marks.stateAnswers, state);
    }
    for (let label = 0; label < labels; label += 1) {
      if (constraint.strength === 'strong' && constraint.enabledBy?.(label)) put(marks.labelAsks, label);
      if (constraint.takenBy?.(label)) put(marks.labelAnswers, label);
    }
  });
  return marks;
}

/** The bitset of these constraints. */
export function bitset(marks: Pick<Marks, 'words'>, numbers: Iterable<number>): Int32Array {
  const bits = new Int32Array(marks.words);
  for (const number of numbers) bits[number >> 5] = (bits[number >> 5] as number) | (1 << (number & 31));
  return bits;
}

/** A maximal fair component. Its number is known to the search that found it, until that searches again. */
export interface Component {
  readonly region: number;
  readonly members: Int32Array;
  /** The member with the smallest number: nearest to boot, where states are numbered breadth first. */
  readonly nearest: number;
}
/** The states of all these, in order. */
export function membersOf(components: readonly Component[]): Int32Array {
  const states = new Int32Array(components.reduce((sum, { members }) => sum + members.length, 0));
  let at = 0;
  for (const { members } of components) {
    states.set(members, at);
    at += members.length;
  }
  return states.sort();
}
export interface Within {
  /** Labels that may not be gone: 1 at their numbers. */
  readonly banned?: Uint8Array;
  /** The constraints that count, as a bitset; all of them when left out. */
  readonly active?: Int32Array;
}

const OUTSIDE = 0;

export class Streett {
  readonly graph: Edges;
  readonly marks: Marks;
  /** Edges looked at so far, over all searches: the work done. */
  looked = 0;
  /** Where each state belongs at the moment; an edge between two regions is in no circle. */
  private readonly region: Int32Array;
  private readonly cut: Uint8Array;
  private regions = 0;
  private active: Int32Array;
  // Tarjan's algorithm, without recursion and without anything made for each state.
  private readonly members: Int32Array;
  private readonly roots: Int32Array;
  private readonly index: Int32Array;
  private readonly lowest: Int32Array;
  private readonly stack: Int32Array;
  private readonly calls: Int32Array;
  private readonly edgeAt: Int32Array;
  private readonly labelSeen: Int32Array;
  private readonly asks: Int32Array;
  private readonly answers: Int32Array;
  private readonly edgesAsk: Int32Array;
  private readonly missing: Int32Array;

  constructor(graph: Edges, marks: Marks) {
    this.graph = graph;
    this.marks = marks;
    this.active = new Int32Array(marks.words).fill(-1);
    this.region = new Int32Array(graph.states);
    this.cut = new Uint8Array(graph.first[graph.states] ?? 0);
    this.members = new Int32Array(graph.states);
    this.roots = new Int32Array(graph.states);
    this.index = new Int32Array(graph.states);
    this.lowest = new Int32Array(graph.states);
    this.stack = new Int32Array(graph.states);
    this.calls = new Int32Array(graph.states);
    this.edgeAt = new Int32Array(graph.states);
    this.labelSeen = new Int32Array(graph.labels);
    this.asks = new Int32Array(marks.words);
    this.answers = new Int32Array(marks.words);
    this.edgesAsk = new Int32Array(marks.words);
    this.missing = new Int32Array(marks.words);
  }

  /** All maximal fair components among these states; each has an edge inside. */
  fair(among: Int32Array, { banned, active }: Within = {}): Component[] {
    const { region, cut, members } = this;
    this.active = active ?? new Int32Array(this.marks.words).fill(-1);
    this.labelSeen.fill(0);
    region.fill(OUTSIDE);
    cut.fill(0);
    members.set(among);
    this.regions = 1;
    for (const state of among) region[state] = 1;
    if (banned) this.ban(among, banned);
    const found: Component[] = [];
    const work: Range[] = [{ from: 0, end: among.length, region: 1 }];
    for (let task = work.pop(); task; task = work.pop())
      this.split(task, (part) => {
        if (this.satisfied(part)) found.push(this.component(part));
        else {
          const rest = this.pruned(part);
          if (rest.end > rest.from) work.push(rest);
        }
      });
    return found;
  }

  /** Does this edge stay inside the component, and may it be gone? */
  inside(edge: number, component: Component): boolean {
    return this.region[this.graph.to[edge] as number] === component.region && this.cut[edge] === 0;
  }
  /** The constraints that counted in the last search. */
  get counting(): Int32Array {
    return this.active;
  }

  private ban(among: Int32Array, banned: Uint8Array): void {
    const { first, label } = this.graph;
    for (const state of among)
      for (let edge = first[state] as number; edge < (first[state + 1] as number); edge += 1)
        this.cut[edge] = banned[label[edge] as number] as number;
  }

  private component({ from, end, region }: Range): Component {
    const members = this.members.slice(from, end);
    let nearest = members[0] as number;
    for (const member of members) if (member < nearest) nearest = member;
    return { region, members, nearest };
  }

  /** Tarjan's algorithm within one region; each component with an edge inside becomes a region of its own. */
  private split({ from, end, region: here }: Range, found: (part: Range) => void): void {
    const { region, cut, members, roots, index, lowest, stack, calls, edgeAt } = this;
    const { first, to } = this.graph;
    for (let at = from; at < end; at += 1) {
      const state = members[at] as number;
      roots[at] = state;
      index[state] = 0;
    }
    let next = 1;
    let high = 0; // of the stack
    let depth = 0; // of the calls
    let looked = 0;
    let filled = from;
    for (let at = from; at < end; at += 1) {
      const root = roots[at] as number;
      if (index[root] !== 0) continue;
      index[root] = lowest[root] = next++;
      stack[high++] = root;
      calls[depth] = root;
      edgeAt[depth++] = first[root] as number;
      while (depth > 0) {
        const state = calls[depth - 1] as number;
        const edge = edgeAt[depth - 1] as number;
        if (edge < (first[state + 1] as number)) {
          edgeAt[depth - 1] = edge + 1;
          looked += 1;
          const target = to[edge] as number;
          if (region[target] !== here || cut[edge] !== 0) continue; // whoever left the stack left the region
          if (index[target] === 0) {
            index[target] = lowest[target] = next++;
            stack[high++] = target;
            calls[depth] = target;
            edgeAt[depth++] = first[target] as number;
          } else if ((index[target] as number) < (lowest[state] as number)) lowest[state] = index[target] as number;
          continue;
        }
        depth -= 1;
        if (depth > 0) {
          const parent = calls[depth - 1] as number;
          if ((lowest[state] as number) < (lowest[parent] as number)) lowest[parent] = lowest[state] as number;
        }
        if (lowest[state] !== index[state]) continue;
        if (stack[high - 1] === state && !this.loops(state)) {
          high -= 1;
          region[state] = OUTSIDE;
          continue;
        }
        const begin = filled;
        this.regions += 1;
        for (let member = -1; member !== state; ) {
          member = stack[--high] as number;
          region[member] = this.regions;
          members[filled++] = member;
        }
        found({ from: begin, end: filled, region: this.regions });
      }
    }
    this.looked += looked;
  }
  private loops(state: number): boolean {
    const { first, to } = this.graph;
    for (let edge = first[state] as number; edge < (first[state + 1] as number); edge += 1)
      if (to[edge] === state && this.cut[edge] === 0) return true;
    return false;
  }

  /** Is everybody who asks in this component answered in it? `missing` says afterwards who is not. */
  private satisfied({ from, end, region: here }: Range): boolean {
    const { members, region, cut, labelSeen, asks, answers, edgesAsk, missing, active } = this;
    const { first, to, label } = this.graph;
    const { words, stateAsks, stateAnswers, labelAsks, labelAnswers } = this.marks;
    asks.fill(0);
    answers.fill(0);
    edgesAsk.fill(0);
    for (let at = from; at < end; at += 1) {
      const state = members[at] as number;
      gather(asks, stateAsks, state, words);
      gather(answers, stateAnswers, state, words);
      for (let edge = first[state] as number; edge < (first[state + 1] as number); edge += 1) {
        if (region[to[edge] as number] !== here || cut[edge] !== 0) continue;
        const sort = label[edge] as number;
        if (labelSeen[sort] === here) continue;
        labelSeen[sort] = here;
        gather(edgesAsk, labelAsks, sort, words);
        gather(answers, labelAnswers, sort, words);
      }
      this.looked += (first[state + 1] as number) - (first[state] as number);
    }
    let all = true;
    for (let word = 0; word < words; word += 1) {
      const asked = (asks[word] as number) | (edgesAsk[word] as number);
      missing[word] = asked & ~(answers[word] as number) & (active[word] as number);
      if (missing[word] !== 0) all = false;
    }
    return all;
  }

  /** Take out the states and edges that ask for what is missing; what is left stands at the front of the range. */
  private pruned({ from, end, region: here }: Range): Range {
    const { members, region, cut, edgesAsk, missing } = this;
    const { first, label } = this.graph;
    const { words, stateAsks, labelAsks } = this.marks;
    let kept = from;
    for (let at = from; at < end; at += 1) {
      const state = members[at] as number;
      if (meets(missing, stateAsks, state, words)) region[state] = OUTSIDE;
      else members[kept++] = state;
    }
    if (meets(missing, edgesAsk, 0, words))
      for (let at = from; at < kept; at += 1) {
        const state = members[at] as number;
        for (let edge = first[state] as number; edge < (first[state + 1] as number); edge += 1)
          if (meets(missing, labelAsks, label[edge] as number, words)) cut[edge] = 1;
        this.looked += (first[state + 1] as number) - (first[state] as number);
      }
    return { from, end: kept, region: here };
  }
}

/** Part of `members`, and the region that its states are in. */
interface Range {
  readonly from: number;
  readonly end: number;
  readonly region: number;
}

function gather(into: Int32Array, rows: Int32Array, row: number, words: number): void {
  for (let word = 0; word < words; word += 1)
    into[word] = (into[word] as number) | (rows[row * words + word] as number);
}
/** Have these two a constraint in common? */
export function meets(bits: Int32Array, rows: Int32Array, row: number, words: number): boolean {
  for (let word = 0; word < words; word += 1)
    if (((bits[word] as number) & (rows[row * words + word] as number)) !== 0) return true;
  return false;
}
