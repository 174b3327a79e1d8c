/**
 * The words of schedules, numbered: far fewer than there are ways to step, so that a parent fits into six bytes, and
 * the same in every run, which ids of ways are not.
 */
import { word } from '../../../model/case.ts';
import type { Way } from '../learned.ts';

const MOST_WORDS = 0xffff;

export class Words {
  readonly texts: string[] = [];
  private readonly numbers = new Map<string, number>();
  private readonly byWay: number[] = [];

  /** The number of the word of this way. @throws when there are more words than 16 bits can number */
  of(way: number, learned: { way(id: number): Way<unknown> }): number {
    return this.byWay[way] ?? (this.byWay[way] = this.number(word(learned.way(way))));
  }
  text(number: number): string {
    return this.texts[number] as string;
  }
  restore(texts: readonly string[]): void {
    for (const text of texts) this.number(text);
  }

  private number(text: string): number {
    const known = this.numbers.get(text);
    if (known !== undefined) return known;
    if (this.texts.length >= MOST_WORDS)
      throw new Error(`a schedule takes more than ${MOST_WORDS} different words: the outcomes of a step grow for ever`);
    this.numbers.set(text, this.texts.length);
    this.texts.push(text);
    return this.texts.length - 1;
  }
}
