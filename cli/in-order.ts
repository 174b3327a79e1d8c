/** Workers finish in any order; people read in one. */
export class InOrder {
  private readonly waiting = new Map<number, () => void>();
  private next = 0;

  say(at: number, speak: () => void): void {
    this.waiting.set(at, speak);
    for (let ready = this.waiting.get(this.next); ready; ready = this.waiting.get(this.next)) {
      this.waiting.delete(this.next);
      this.next += 1;
      ready();
    }
  }
}
