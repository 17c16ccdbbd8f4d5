-- Revenue and units of each manufacturer in each month, and its share of the month.
select
    month, manufacturer, units, revenue,
    round(100 * revenue / nullif(sum(revenue) over (partition by month), 0), 1) as percent_of_month
from reporting.manufacturer_sales
order by month, revenue desc, manufacturer;
