// Signing in, with a key.
import { useState } from "preact/hooks";
import { base, Refusal, signIn } from "../api";
import type { Session } from "../answers";
import { useAction } from "../hooks";
import { Brand } from "../parts/brand";
import { Trouble } from "../parts/ui";

export function SignIn({ onSession, error }: { onSession: (session: Session) => void; error: Error | null }) {
  const [given, setGiven] = useState("");
  const action = useAction();
  const send = (event: Event) => {
    event.preventDefault();
    void action.run(async () => {
      try {
        onSession(await signIn(given.trim()));
      } catch (caught) {
        if (caught instanceof Refusal && caught.status === 401) throw new Error("No valid key: it may be mistyped, revoked, or of another server.");
        throw caught;
      }
    });
  };
  return (
    <main class="sign-in">
      <Brand />
      <h1>Sign in</h1>
      <Trouble error={action.error ?? error} />
      <form class="stack" onSubmit={send}>
        <label class="field">
          <span>API key</span>
          <input class="mono" type="password" value={given} onInput={(event) => setGiven(event.currentTarget.value)} required placeholder="bq_test_…" autocomplete="off" autofocus />
        </label>
        <button class="primary" type="submit" aria-disabled={action.busy}>Sign in</button>
      </form>
      <p class="soft">This tab keeps the key, and forgets it when it is closed. The key decides which environment you see and what you may do.</p>
      <dl class="hints soft">
        <dt>First start?</dt><dd>The server printed a key when it started.</dd>
        <dt>On the server's machine?</dt><dd><code>bq-server console</code> prints a link that signs in without a key.</dd>
        <dt>Another key?</dt><dd><code>bq-server keys create --env test --scope admin</code></dd>
      </dl>
      <p class="soft"><a href={`${base}/docs`}>API reference</a></p>
    </main>
  );
}
