package planted
import ("testing";"github.com/seed-21071466/souk/test/shop";"fmt")
func TestProbe(t *testing.T){
 s:=shop.Start(t, shop.Options{Dir:"/tmp/pl/good", Args: []string{"--set","gateway.rate_limit=false"}})
 s.Goods(t,20,"A","B")
 for i:=range 4 { c:=s.ReadyCart(t,2,"A","B"); s.Call(t,201,c.Checkout(fmt.Sprint("k",i),"tok_ok")) }
 c:=s.ReadyCart(t,1,"A"); s.Call(t,402,c.Checkout("kd","tok_declined"))
 s.Stock(t,"A","allocated",8)
 s.Stop()
 out,code:=shop.Souk(t,"verify","--data",s.Dir)
 t.Log(code,out)
}
