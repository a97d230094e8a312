export const Brand = () => (
  <p class="brand">
    <svg viewBox="0 0 24 24" width="26" height="26" aria-hidden="true"><rect width="24" height="24" rx="6" /><circle cx="7" cy="12" r="2.6" /><rect x="13" y="8" width="8" height="8" rx="2" /></svg>
    bq-server
  </p>
);
