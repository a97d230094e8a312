// The frame around the views: who is signed in, where, and what there is to see.
import type { ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";
import { base, forget, openLink, signOut, whenEnded, whoIsThere } from "./api";
import type { Scope, Session } from "./answers";
import { actsOn, ConsentDialog } from "./consent";
import { moment } from "./format";
import { useShownClock } from "./hooks";
import { Brand } from "./parts/brand";
import { Icon, type IconName } from "./parts/icon";
import { Boundary, Loading, When } from "./parts/ui";
import { link, useRoute } from "./route";
import { GameView } from "./views/game";
import { NowView } from "./views/now";
import { OperationView } from "./views/operation";
import { ParticipantsView } from "./views/participants";
import { SandboxView } from "./views/sandbox";
import { SignIn } from "./views/sign_in";

export interface ViewProps {
  session: Session;
  /** What follows the view's own part of the address. */
  rest: string[];
}

interface View {
  path: string;
  name: string;
  icon: IconName;
  view: ComponentType<ViewProps>;
  /** Whether there is anything in it for whoever is signed in. */
  shown: (session: Session) => boolean;
}

export const may = (session: Session, ...scopes: Scope[]): boolean => scopes.every((each) => session.scopes.includes(each));

const VIEWS: View[] = [
  { path: "now", name: "Now", icon: "now", view: NowView, shown: () => true },
  { path: "participants", name: "Participants", icon: "people", view: ParticipantsView, shown: () => true },
  { path: "game", name: "Game", icon: "game", view: GameView, shown: () => true },
  { path: "sandbox", name: "Sandbox", icon: "sandbox", view: SandboxView, shown: (session) => session.environment === "test" },
  { path: "operation", name: "Operations", icon: "operation", view: OperationView, shown: (session) => may(session, "admin") || may(session, "webhooks") },
];

export function App() {
  const [session, setSession] = useState<Session | null>(null);
  const [error, setError] = useState<Error | null>(null);
  const [asking, setAsking] = useState(true);
  useEffect(() => {
    const [, given] = /^#link=(\w+)$/.exec(location.hash) ?? [];
    // What was in the address is used up: neither a bookmark nor the history keeps it.
    if (given) history.replaceState(null, "", location.pathname);
    (given ? openLink(given) : whoIsThere()).then(setSession, setError).finally(() => setAsking(false));
  }, []);
  if (asking) return <main class="sign-in"><Brand /><Loading /></main>;
  if (!session) return <SignIn onSession={setSession} error={error} />;
  actsOn(session.environment);
  whenEnded(() => {
    whenEnded(() => {});
    forget();
    setError(new Error("Your session or key has expired. Sign in again."));
    setSession(null);
  });
  return <Frame session={session} onEnd={() => { whenEnded(() => {}); setError(null); setSession(null); }} />;
}

function Frame({ session, onEnd }: { session: Session; onEnd: () => void }) {
  const [first, ...rest] = useRoute();
  const clock = useShownClock();
  const views = VIEWS.filter((each) => each.shown(session));
  const current = views.find((each) => each.path === first) ?? views[0]!;
  const leave = () => void signOut().finally(() => { location.hash = ""; onEnd(); });
  return (
    <div class={`frame ${session.environment}`}>
      <a class="skip" href="#main" onClick={(event) => { event.preventDefault(); document.querySelector<HTMLElement>("h1")?.focus(); }}>Skip to the content</a>
      <header class="side">
        <Brand />
        <p class={`environment ${session.environment}`}>
          <span class="dot" aria-hidden="true" /> {session.environment === "live" ? "Live environment" : "Test environment"}
          {clock && <span class="clock">Clock {moment(clock)}</span>}
        </p>
        <nav aria-label="Views">
          <ul>
            {views.map((each) => (
              <li key={each.path}><a href={link(each.path)} aria-current={each === current ? "page" : undefined}><Icon name={each.icon} /><span>{each.name}</span></a></li>
            ))}
          </ul>
        </nav>
        <div class="who">
          <p class="soft">{session.key_name || session.key_id}{session.ends_at && <>, ends <When at={session.ends_at} only="relative" real /></>}<br />bq-server {session.version}</p>
          <p><a href={`${base}/docs`}>API reference</a></p>
          <button type="button" class="plain" onClick={leave}>Sign out</button>
        </div>
      </header>
      <main id="main"><Boundary at={[current.path, ...rest].join("/")}><current.view session={session} rest={rest} /></Boundary></main>
      <ConsentDialog />
    </div>
  );
}
